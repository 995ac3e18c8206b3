/** PROTOCOL.md, section 17: publishing by HTTP, with clients of others: curl itself, and Node's fetch. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, inject, onTestFinished, test } from "vitest";
import { SignJWT } from "jose";
import { databaseUrl, freshDomain, sql, topicUrls } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { startBareHub } from "../support/bare-hub.ts";
import { open, ownAddress } from "../support/client.ts";
import { documentBlock } from "../support/document-block.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { startProgram } from "../support/process.ts";
import { noteSecret } from "../support/secrets.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const hub = inject("hub");
const base = hub.url.replace(/^ws/, "http");
const isLocal = hub.sqlEndpoint !== null;
noteSecret("key", "7c9e6679-7425-40de-944b-e07fc1f90ae7");
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");
const SHARED = { publishers: "shared" };
const KEPT = { ...SHARED, history_messages: 1000, history_seconds: 3600 };

interface Place {
  readonly key: string;
  readonly domain: string;
  readonly messages: string;
  readonly pub: string;
  readonly sub: string;
}

/** A topic of a domain of its own. */
async function freshPlace(
  policy: Parameters<typeof freshDomain>[0] = SHARED,
  at = hub.url,
): Promise<Place> {
  const domain = await freshDomain(policy);
  const { pub, sub } = topicUrls(at, domain);
  const topic = sub.split("/").at(-1) ?? "";
  const messages = `${at.replace(/^ws/, "http")}/v1/domains/${domain.domain}/topics/${topic}/messages`;
  return { ...domain, messages, pub, sub };
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Posts by Node's fetch. */
async function post(
  { messages, key }: Pick<Place, "messages" | "key">,
  init: Omit<RequestInit, "headers"> & { readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(messages, {
    method: "POST",
    ...init,
    headers: {
      Authorization: `Bearer ${key}`,
      "CF-Connecting-IP": ownAddress(),
      ...init.headers,
    },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Runs curl; resolves with the status and the JSON. */
async function curl(...args: string[]): Promise<Answer> {
  const program = startProgram("curl", ["-sS", "-m", "30", "-w", "\n%{http_code}", ...args]);
  expect(await program.exited).toBe(0);
  const lines = program.output().split("\n");
  const status = Number(lines.pop());
  return { status, body: JSON.parse(lines.join("")) as Record<string, unknown> };
}

function authorization({ key }: Pick<Place, "key">): string {
  return `Authorization: Bearer ${key}`;
}

/** A block's lines, with the port as the only thing that differs. */
function linesHere(block: string): string[] {
  return block.trim().replaceAll("localhost:8787", new URL(base).host).split("\n");
}

/** What the hub answered, line by line. */
async function answersTo(script: string): Promise<{ count: number; cursor: string }[]> {
  const program = startProgram("sh", ["-ec", script]);
  expect(await program.exited).toBe(0);
  return (program.output().match(/\{"cursor".*\}/g) ?? []).map((line) => JSON.parse(line));
}

describe.runIf(isLocal)("the documents' blocks with curl", () => {
  test("17.2 17.3 17.5 does what it says, line by line", async () => {
    const lines = linesHere(await documentBlock("README.md", "publish"));
    const reading = lines.pop() ?? "";
    // The last one is sent again.
    const answers = await answersTo([...lines, lines.at(-1)].join("\n"));
    expect(answers.map(({ count }) => count)).toEqual([1, 1, 3, 1, 1]);
    expect(answers[4]).toEqual(answers[3]);
    const wscat = startProgram("sh", ["-ec", `exec ${reading}`]);
    onTestFinished(async () => void (await wscat.end("SIGKILL")));
    await wscat.line(/paid/);
    // It may write more on a line than the message.
    const read = wscat.output().match(/hello|\{"celsius":21\.5\}|one|two|three|paid/g);
    expect(read).toEqual(["hello", '{"celsius":21.5}', "one", "two", "three", "paid"]);
  });

  test("17.14 finishes a topic, and tells those who are there", async () => {
    const lines = linesHere(await documentBlock("docs/recipes.md", "finish"));
    const last = lines.pop() ?? "";
    expect(await answersTo(lines.join("\n"))).toMatchObject([{ count: 1, subscribers: 0 }]);
    const reader = await StreamSubscriber.open(`${hub.url}/ws/sub/test/story?since=earliest`);
    expect(await reader.messages(1)).toEqual(["once upon a time"]);
    const setting = lines.filter((line) => line.includes("=") && !line.startsWith("curl"));
    const ended = await answersTo([...setting, last].join("\n"));
    expect(ended).toMatchObject([{ count: 1, subscribers: 1 }]);
    expect(await reader.messages(1)).toEqual(["the end"]);
    expect(await reader.end()).toBe("finished");
  });
});

describe.runIf(isLocal)("curl", () => {
  test("17.2 publishes text, bytes and files, whole and with Expect", async () => {
    const place = await freshPlace({ ...SHARED, max_message_bytes: 33_554_432 });
    const reader = await open(place.sub);
    const of = authorization(place);
    expect(await curl("-H", of, "-d", "ä€\u{1F44B}", place.messages)).toMatchObject({
      status: 200,
      body: { count: 1, subscribers: 1 },
    });
    expect(await reader.texts(1)).toEqual(["ä€\u{1F44B}"]);
    const bytes = randomBytes(16 * 1024 * 1024);
    const file = join(await temporaryFolder(), "bytes");
    await writeFile(file, bytes);
    const binary = ["-H", of, "-H", "Content-Type: application/octet-stream"];
    for (const how of [
      ["--data-binary", `@${file}`],
      ["--data-binary", `@${file}`, "-H", "Expect: 100-continue"],
      ["-T", file, "-X", "POST", "-H", "Transfer-Encoding: chunked"],
    ]) {
      const answer = await curl(...binary, ...how, place.messages);
      expect(answer).toMatchObject({ status: 200 });
      // Compared as a whole: byte by byte takes vitest seconds.
      const received = await reader.next();
      expect(received.type === "binary" && received.bytes.equals(bytes)).toBe(true);
    }
    await writeFile(file, Buffer.concat([bytes, Buffer.of(0)]));
    for (const how of [[], ["-H", "Transfer-Encoding: chunked"]]) {
      const answer = await curl(...binary, ...how, "--data-binary", `@${file}`, place.messages);
      expect(answer).toMatchObject({
        status: 413,
        body: { type: "urn:wspubsub:problem:body-too-large" },
      });
    }
  });

  test("17.1 is told which methods there are", async () => {
    const place = await freshPlace();
    const program = startProgram("curl", ["-sSi", "-X", "OPTIONS", place.messages]);
    await program.exited;
    expect(program.output()).toMatch(/^Allow: GET, HEAD, POST, DELETE, OPTIONS\r?$/m);
    expect(await curl("-X", "PATCH", place.messages)).toMatchObject({ status: 405 });
  });
});

describe.runIf(isLocal)("a post", () => {
  test("17.7 in an exclusive domain starts the topic, and publishers take over as ever", async () => {
    const place = await freshPlace(null);
    expect(await post(place, { body: "first" })).toMatchObject({ status: 200 });
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    expect(await reader.messages(1)).toEqual(["first"]);
    const source = await StreamPublisher.open(place.pub);
    const refused = await post(place, { body: "second" });
    expect(refused).toMatchObject({
      status: 409,
      body: { type: "urn:wspubsub:problem:publisher-conflict" },
    });
    expect(refused.body["detail"]).toContain("shared");
    await source.publish(["by a socket"]);
    await source.client.close();
    await expect
      .poll(
        async () =>
          (await post(place, { body: "second", headers: { "Idempotency-Key": "2" } })).status,
      )
      .toBe(200);
    expect(await reader.messages(2)).toEqual(["by a socket", "second"]);
  });

  test("10.9 17.5 has the ids of its key, also those of sockets", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub);
    publisher.send(["one"], "same");
    const { cursor } = await publisher.ack();
    const same = { headers: { "Idempotency-Key": '"same"' } };
    expect(await post(place, { ...same, body: "one" })).toMatchObject({
      status: 200,
      body: { cursor },
    });
    expect(await post(place, { ...same, body: "two" })).toMatchObject({ status: 422 });
  });

  test("17.9 by a token reaches the topics that it names, where its domain takes such", async () => {
    const place = await freshPlace({ ...SHARED, token_secret: SECRET, token_publishers: true });
    const topic = place.sub.split("/").at(-1) ?? "";
    const tokenOf = async (actions: string[]): Promise<string> =>
      noteSecret(
        "token",
        await new SignJWT({
          authorization_details: [{ type: "wspubsub", actions, topics: [topic] }],
        })
          .setProtectedHeader({ alg: "HS256" })
          .setAudience(`wspubsub:${place.domain}`)
          .setSubject("user")
          .setExpirationTime("1m")
          .sign(new TextEncoder().encode(SECRET)),
      );
    const key = await tokenOf(["publish"]);
    expect(await post({ ...place, key }, { body: "a" })).toMatchObject({ status: 200 });
    const elsewhere = place.messages.replace(topic, "elsewhere");
    expect(await post({ messages: elsewhere, key }, { body: "a" })).toMatchObject({ status: 401 });
    expect(
      await post({ ...place, key: await tokenOf(["subscribe"]) }, { body: "a" }),
    ).toMatchObject({
      status: 403,
      body: { type: "urn:wspubsub:problem:token-lacks-publish" },
    });
  });

  test("17.10 by a key that is revoked is refused at once", async () => {
    const place = await freshPlace();
    expect(await post(place, { body: "a" })).toMatchObject({ status: 200 });
    const [row] = await keysOf(place.domain);
    expect(await admin("DELETE", `${place.domain}/keys/${row}`)).toMatchObject({ status: 200 });
    expect(await post(place, { body: "b" })).toMatchObject({ status: 401 });
  });

  test("17.12 that is cut off in the middle is not in the log", async () => {
    const place = await freshPlace(KEPT);
    const { hostname, port, pathname } = new URL(place.messages);
    const head = [
      `POST ${pathname} HTTP/1.1`,
      `Host: ${hostname}`,
      authorization(place),
      "Content-Type: application/x-ndjson",
    ];
    const chunked = [...head, "Transfer-Encoding: chunked", "", "4\r\n1\n2\n\r\n"];
    const sized = [...head, "Content-Length: 6", "", "1\n2\n"];
    for (const lines of [chunked, sized]) {
      const socket = connect(Number(port), hostname);
      socket.write(lines.join("\r\n"));
      // It is being read by the time that the next one is answered.
      await post(place, { body: "whole" });
      socket.destroy();
      await once(socket, "close");
    }
    await post(place, { body: "last" });
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    expect(await reader.messages(3)).toEqual(["whole", "whole", "last"]);
  });

  test("17.12 twenty at once over one connection each are all answered", async () => {
    const place = await freshPlace(KEPT);
    const all = Array.from({ length: 20 }, (_, n) => post(place, { body: String(n) }));
    const cursors = (await Promise.all(all)).map(({ body }) => body["cursor"]);
    expect(new Set(cursors).size).toBe(20);
  });

  test("17.12 what comes pipelined on one connection is answered in order", async () => {
    const place = await freshPlace(KEPT);
    const { hostname, port, pathname } = new URL(place.messages);
    const socket: Socket = connect(Number(port), hostname);
    let received = "";
    socket.on("data", (data: Buffer) => void (received += data.toString()));
    for (const text of ["a", "b", "c"]) {
      socket.write(
        `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n${authorization(place)}\r\nContent-Length: 1\r\n\r\n${text}`,
      );
    }
    await expect.poll(() => received.match(/"cursor":"\w+-\d"/g)?.length).toBe(3);
    expect(received.match(/-\d"/g)).toEqual(['-1"', '-2"', '-3"']);
    socket.destroy();
  });
});

describe.runIf(isLocal)("a hub that is killed between posts", () => {
  let own: HubProcess;
  afterEach(async () => own.stop());

  test("17.5 17.6 misses nothing and publishes nothing twice, whoever sends again by the same id", async () => {
    const env = { DATABASE_URL: databaseUrl() };
    own = await startBareHub({ env });
    const place = await freshPlace(KEPT, own.url.replace(/^http/, "ws"));
    const over = new AbortController();
    let sent = 0;
    const expected: string[] = [];
    /** Sends what has an id until it is answered: the hub may be gone, or going. */
    const sendAll = async (worker: number): Promise<void> => {
      for (let n = 0; !over.signal.aborted; n++) {
        const text = `${worker}-${n}`;
        expected.push(text);
        for (;;) {
          try {
            const init = { body: text, headers: { "Idempotency-Key": text } };
            const { status } = await post(place, { ...init, signal: AbortSignal.timeout(5000) });
            if (status === 200) break;
            expect(status).toBe(503);
          } catch (error) {
            // The connection broke, or nobody listens: TypeError. Or nobody answers any more: TimeoutError.
            if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
          }
        }
        sent += 1;
      }
    };
    const workers = Array.from({ length: 4 }, (_, worker) => sendAll(worker));
    for (let kill = 0; kill < 20; kill++) {
      const until = sent + 8;
      await expect.poll(() => sent >= until, { timeout: 30_000, interval: 5 }).toBe(true);
      await own.kill();
      own = await startBareHub({ env, port: own.port, state: own.state });
    }
    over.abort();
    await Promise.all(workers);
    expect(sent).toBeGreaterThanOrEqual(160);
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    const got = await reader.messages(expected.length);
    expect(new Set(got)).toEqual(new Set(expected));
    expect(got).toHaveLength(expected.length);
    // Nothing comes behind them but what is published now.
    await post(place, { body: "last" });
    expect(await reader.messages(1)).toEqual(["last"]);
  }, 240_000);
});

/** The numbers of a domain's keys. */
async function keysOf(domain: string): Promise<number[]> {
  const rows = await sql("select id from apikeys where domain = $1", [domain]);
  return rows.map(({ id }) => Number(id));
}

describe.runIf(isLocal)("the last post", () => {
  test("17.14 ends its topic, and may be sent again", async () => {
    const place = await freshPlace({ history_seconds: 3600, history_delay_ms: 0 });
    const key = authorization(place);
    const first = await curl("-H", key, "-d", "a", place.messages);
    expect(first.status).toBe(200);
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    expect(await reader.messages(1)).toEqual(["a"]);
    const last = [
      "-H",
      key,
      "-H",
      "Idempotency-Key: last",
      "-d",
      "b",
      `${place.messages}?finish=1`,
    ];
    const ended = await curl(...last);
    expect(ended).toMatchObject({ status: 200, body: { count: 1, subscribers: 1 } });
    expect(await reader.rest()).toEqual(["b"]);
    const { cursor, count } = ended.body;
    expect(await curl(...last)).toMatchObject({ status: 200, body: { cursor, count } });
    const page = await curl(place.messages);
    expect(page.body).toMatchObject({ messages: ["a", "b"], end: "finished", more: false });
    const again = await curl("-H", key, "-X", "POST", `${place.messages}?finish=1`);
    expect([again.status, again.body["type"]]).toEqual([
      404,
      "urn:wspubsub:problem:topic-not-live",
    ]);
    const wrong = await curl("-H", key, "-d", "a", `${place.messages}?finish=yes`);
    expect(wrong).toMatchObject({ status: 400, body: { detail: '"finish" must be 0 or 1' } });
  });

  test("17.14 of a shared topic is none", async () => {
    const place = await freshPlace(SHARED);
    const answer = await curl("-H", authorization(place), "-d", "a", `${place.messages}?finish=1`);
    expect([answer.status, answer.body["type"]]).toEqual([
      409,
      "urn:wspubsub:problem:topic-shared",
    ]);
  });
});
