/** `wspubsub pub`: what is given arrives, once and in order, and what does not is told. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { expectFailure, expectUsageError } from "../../support/cli.ts";
import {
  cliTopic,
  published,
  run,
  SHARED,
  startCommand,
  runShell,
  type CliTopic,
} from "../../support/cli-messages.ts";
import { startFakeHub } from "../../support/fake-hub.ts";
import { playHub, type PlayedSocket } from "../../support/played-hub.ts";
import { HAS_TERMINAL, runAtTerminal } from "../../support/terminal.ts";

const DONE = { code: 0, stdout: "", stderr: "" };
const EXCLUSIVE = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };

/** A hub that a test plays, as commands use it. */
function envOf(url: string): Record<string, string> {
  return { HUB_URL: url, WSPUBSUB_KEY: "a-key-of-a-played-hub" };
}

/** Starts `pub` with a stdin to write to. */
function startPub(url: string): ChildProcessByStdio<Writable, null, null> {
  const child = spawn("node", ["src/cli/main.ts", "--state", "/nowhere", "pub", "d", "t"], {
    env: { PATH: process.env["PATH"], WSPUBSUB_DEV_VARS: "/dev/null", ...envOf(url) },
    stdio: ["pipe", "inherit", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Runs `pub` on a topic. */
function pub(
  { domain, topic, env }: Pick<CliTopic, "domain" | "topic" | "env">,
  args: readonly string[],
  input?: string | Buffer,
) {
  return run(["pub", domain, topic, ...args], { env, ...(input !== undefined && { input }) });
}

describe("messages", () => {
  test("of arguments, each one", async () => {
    const topic = await cliTopic();
    expect(await pub(topic, ["a", "", "b\nc", "ä 👋"])).toEqual(DONE);
    expect(await published(topic, 4)).toBe("a\n\nb\nc\nä 👋\n");
    const receipts = await pub(topic, ["one", "two", "--json"]);
    expect(receipts).toMatchObject({ code: 0, stderr: "" });
    const lines = receipts.stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { cursor: expect.any(String), count: 1 },
      { cursor: expect.any(String), count: 1 },
    ]);
  });

  test("of stdin, a line each, as it is; the last one may lack its end", async () => {
    const topic = await cliTopic();
    expect(await pub(topic, [], "a\n\nb \r\n\ufeffc")).toEqual(DONE);
    expect(await published(topic, 4)).toBe("a\n\nb \r\n\ufeffc\n");
    expect(await pub(topic, [], "")).toEqual(DONE);
  });

  test("of stdin, however much it is", async () => {
    const topic = await cliTopic();
    const lines = Array.from({ length: 20_000 }, (_, n) => `${n} ${"ä👋".repeat(n % 40)}\n`).join(
      "",
    );
    expect(await pub(topic, ["--batch", "50"], lines)).toEqual(DONE);
    expect(await published(topic, 20_000)).toBe(lines);
  });

  test("that are no text are refused by their line, and what stands before it is published", async () => {
    const topic = await cliTopic();
    const lines = Array.from({ length: 30_000 }, (_, n) => `${n}\n`).join("");
    const wrong = await pub(
      topic,
      ["--batch", "1000"],
      Buffer.from(`${lines}\u00ff\nx\n`, "latin1"),
    );
    expectFailure(wrong, "Line 30001 is not UTF-8: --binary publishes");
    expect(await published(topic, 1)).toBe("0\n");
  });

  test("with --binary all of stdin is one", async () => {
    const topic = await cliTopic();
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7) % 256));
    expect(await pub(topic, ["--binary"], bytes)).toEqual(DONE);
    const { domain, env } = topic;
    const line = `wspubsub sub ${domain} ${topic.topic} --raw --since earliest --count 1 | sha256sum`;
    const sum = await crypto.subtle.digest("SHA-256", bytes);
    expect((await runShell(line, env)).output).toContain(Buffer.from(sum).toString("hex"));
  });

  test("go together as --batch says, and not more of them", async () => {
    const sizes: number[] = [];
    const url = await playHub({
      heard: (socket, { id, messages }) => {
        sizes.push((messages as string[]).length);
        socket.say({ type: "ack", id, cursor: "a-1" });
      },
    });
    const topic = { domain: "d", topic: "t", env: envOf(url) };
    expect(await pub(topic, ["--batch", "3"], "1\n2\n3\n4\n5\n6\n7")).toEqual(DONE);
    expect(sizes).toEqual([3, 3, 1]);
    await pub(topic, ["1", "2", "3", "--batch", "2"]);
    expect(sizes).toEqual([3, 3, 1, 2, 1]);
  });
});

describe("--id", () => {
  test("makes a run repeatable", async () => {
    const topic = await cliTopic();
    const args = ["a", "b", "--id", "run-1", "--json"];
    const first = await pub(topic, args);
    expect(JSON.parse(first.stdout)).toEqual({ cursor: expect.any(String), count: 2 });
    expect(await pub(topic, args)).toEqual(first);
    expect(await pub(topic, ["--id", "run-1"], "a\nb\n")).toEqual(DONE);
    expectFailure(await pub(topic, ["a", "c", "--id", "run-1"]), "The hub refused (id-reused)");
    await pub(topic, ["--id", "run-2", "--binary"], Buffer.from([1, 10]));
    expect(await published(topic, 3)).toBe("a\nb\n\u0001\n\n");
  });

  test("ends a topic with --finish, and once", async () => {
    const topic = await cliTopic(EXCLUSIVE);
    for (let n = 0; n < 2; n++) {
      expect(await pub(topic, ["last", "--id", "run-1", "--finish"])).toEqual(DONE);
    }
    const { domain, env } = topic;
    const read = await run(["sub", domain, topic.topic, "--since", "earliest"], { env });
    expect(read).toEqual({ code: 0, stdout: "last\n", stderr: "The topic has ended: finished.\n" });
  });

  test("is bounded as a publish is, and says so where nobody answers", async () => {
    const topic = await cliTopic();
    expectFailure(await pub(topic, ["--id", "x"], "\n".repeat(1001)), "More than 1,000 messages");
    expectFailure(await pub(topic, ["--id", "x"], "x".repeat(17_000_000)), "More than 16 MiB");
    expectFailure(await pub(topic, ["--id", "x"], ""), "There is no message");
    const dead = { ...topic, env: { ...topic.env, HUB_URL: "http://127.0.0.1:2" } };
    expectFailure(await pub(dead, ["m", "--id", "x"]), "run it again with the same --id");
    const type = "urn:wspubsub:problem:topic-unavailable";
    const busy = await startFakeHub({ status: 503, body: { type, detail: "Not now" } });
    const tried = { ...topic, env: { ...topic.env, HUB_URL: busy.url } };
    const refusedNow = await pub(tried, ["m", "--id", "x"]);
    expectFailure(refusedNow, "The hub refused (topic-unavailable): Not now. It may be published");
    expect(busy.seen[0]?.authorization).toBe(`Bearer ${topic.key}`);
    const odd = { ...topic, env: { ...topic.env, WSPUBSUB_KEY: "geheimä" } };
    const refused = await pub(odd, ["m", "--id", "x"]);
    expectFailure(refused, "The key cannot stand in a header (from WSPUBSUB_KEY)");
    expect(refused.stderr).not.toContain("geheim");
  });
});

test.each([
  [200, true],
  [404, false],
  [502, true],
])(
  "an answer of %i that is not a hub's: whether to run it again is told",
  async (status, again) => {
    const server = createServer((_, response) => response.writeHead(status).end("<html>"));
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const env = { HUB_URL: `http://127.0.0.1:${port}` };
    const { code, stderr } = await run(["pub", "d", "t", "m", "--id", "x"], { env });
    expect(code).toBe(1);
    expect(stderr).toContain(`answers ${status} and not as a hub does: check HUB_URL`);
    expect(stderr.includes("run it again with the same --id")).toBe(again);
  },
);

describe("a topic", () => {
  test("is ended by --finish, behind all that was published", async () => {
    const topic = await cliTopic(EXCLUSIVE);
    const { domain, env } = topic;
    const reader = run(["sub", domain, topic.topic], { env });
    expect(await pub(topic, ["--finish"], "a\nb\n")).toEqual(DONE);
    const args = ["sub", domain, topic.topic, "--since", "earliest"];
    const read = { code: 0, stdout: "a\nb\n", stderr: "The topic has ended: finished.\n" };
    expect(await run(args, { env })).toEqual(read);
    // Whichever came first, it waited or not.
    expect((await Promise.race([reader, Promise.resolve(null)]))?.code ?? 0).toBe(0);
  });

  test("of a shared domain is not ended, and the messages are there", async () => {
    const topic = await cliTopic();
    const refused = await pub(topic, ["a", "--finish"]);
    expectFailure(refused, "The hub refused (topic-shared): a topic of a shared domain has no end");
    expect(await published(topic, 1)).toBe("a\n");
  });

  test("with another publisher: refused at once, or displaced", async () => {
    const topic = await cliTopic(EXCLUSIVE);
    const first = startCommand(["pub", topic.domain, topic.topic, "--json"], topic.env);
    first.write("first\n");
    await first.line(/"cursor"/);
    // At once, and not when there was time enough.
    const patient = { ...topic, env: { ...topic.env, WSPUBSUB_CONNECT_LIMIT_MS: "3600000" } };
    const refused = await pub(patient, ["second"]);
    expectFailure(refused, "The hub refused (publisher-conflict): another publisher is there");
    expect(refused.stderr).toContain("Nothing was published");
    expect(await pub(topic, ["third", "--takeover"])).toEqual(DONE);
    expect(await first.exited).toBe(1);
    expect(first.output()).toContain("The hub refused (publisher-displaced)");
    expect(await published(topic, 2)).toBe("first\nthird\n");
  });
});

describe("what the hub refuses", () => {
  test("is told by its number, and what else is under way is published", async () => {
    const topic = await cliTopic({ ...SHARED, max_message_bytes: 1024 });
    const refused = await pub(topic, ["a", "x".repeat(2000), "b"]);
    expectFailure(refused, "Message 2 refused (message-too-large: ");
    expect(await published(topic, 1)).toBe("a\n");
    const together = await pub(topic, ["a", "x".repeat(2000), "--batch", "2"]);
    expectFailure(together, "Messages 1 to 2 refused (message-too-large: ");
  });

  test("is told when all else is acknowledged", async () => {
    const ids: unknown[] = [];
    const url = await playHub({
      heard: (socket, { id, messages }) => {
        ids.push(id);
        if (String(messages) !== "2") return;
        const type = "urn:wspubsub:problem:message-too-large";
        socket.say({ type: "error", id, problem: { type, title: "A", status: 413, detail: "B" } });
        // Only now, when the command knows of the refusal.
        void socket.settled().then(() => {
          for (const n of [0, 2]) socket.say({ type: "ack", id: ids[n], cursor: `a-${n}` });
        });
      },
    });
    const refused = await run(["pub", "d", "t", "1", "2", "3", "--json"], { env: envOf(url) });
    expect(refused).toEqual({
      code: 1,
      stdout: '{"cursor":"a-0","count":1}\n{"cursor":"a-2","count":1}\n',
      stderr: "Message 2 refused (message-too-large: B)\n",
    });
  });

  test("is followed by nothing that was not under way", async () => {
    let count = 0;
    const url = await playHub({
      heard: (socket, { id }) => {
        count += 1;
        const type = "urn:wspubsub:problem:message-too-large";
        const problem = { type, title: "A", status: 413, detail: "B" };
        if (count === 1) socket.say({ type: "error", id, problem });
        else socket.say({ type: "ack", id, cursor: "a-1" });
      },
    });
    const input = "m\n".repeat(10_000);
    const refused = await run(["pub", "d", "t"], { env: envOf(url), input });
    expectFailure(refused, "Message 1 refused (message-too-large: B)");
    expect(count).toBeLessThan(2000);
  });

  test("that is a key: nothing was published", async () => {
    const topic = await cliTopic();
    const wrong = { ...topic, env: { ...topic.env, WSPUBSUB_KEY: "nobody-has-this-key-of-all" } };
    const refused = await pub(wrong, ["a"]);
    expectFailure(refused, "The hub refused (key-rejected): ");
    expect(refused.stderr).toContain(`wspubsub keys list ${topic.domain}. Nothing was published\n`);
  });
});

describe("a hub", () => {
  test("that is not there: told in time", async () => {
    const env = { HUB_URL: "http://127.0.0.1:2", WSPUBSUB_CONNECT_LIMIT_MS: "300" };
    const dead = await run(["pub", "d", "t", "m"], { env });
    expectFailure(dead, "Cannot reach the hub at http://127.0.0.1:2 (connection-lost)");
    expect(dead.stderr).toContain("Nothing was published");
  });

  test("that does not take it: stdin is read no further", async () => {
    const ids: unknown[] = [];
    let waiting = Promise.withResolvers<PlayedSocket>();
    let until = 500;
    const url = await playHub({
      heard: (socket, { id }) => {
        ids.push(id);
        if (ids.length === until) waiting.resolve(socket);
      },
    });
    let given = 0;
    const lines = function* (): Generator<string> {
      for (; given < 10_000; given++) yield `${given} ${"x".repeat(1000)}\n`;
    };
    const child = startPub(url);
    const writing = pipeline(Readable.from(lines()), child.stdin);
    let socket = await waiting.promise;
    await socket.settled();
    expect(ids).toHaveLength(500);
    expect(given).toBeLessThan(2000);
    const ended = once(child, "close");
    while (ids.length < 10_000) {
      waiting = Promise.withResolvers();
      until = ids.length + Math.min(500, 10_000 - ids.length);
      for (const id of ids.slice(-500)) socket.say({ type: "ack", id, cursor: "a-1" });
      socket = await waiting.promise;
    }
    for (const id of ids.slice(-500)) socket.say({ type: "ack", id, cursor: "a-1" });
    await writing;
    expect((await ended)[0]).toBe(0);
    expect(new Set(ids).size).toBe(10_000);
  });

  test("that does not take it: large messages are fewer", async () => {
    let count = 0;
    const waiting = Promise.withResolvers<PlayedSocket>();
    const url = await playHub({
      heard: (socket) => {
        count += 1;
        if (count === 3) waiting.resolve(socket);
      },
    });
    let given = 0;
    const lines = function* (): Generator<string> {
      for (; given < 100; given++) yield `${"x".repeat(1_048_575)}\n`;
    };
    Readable.from(lines())
      .pipe(startPub(url).stdin)
      .on("error", () => {});
    const socket = await waiting.promise;
    // In each round it would read a piece of a line, of which there are 16.
    for (let n = 0; n < 320; n++) await socket.settled();
    // Eight of them under way, and what pipes hold.
    expect(given).toBeLessThan(12);
  });

  test("that is cut off: it is connected again, and all is published once", async () => {
    const heard = new Map<unknown, unknown>();
    const url = await playHub({
      opened: (socket, number) => {
        if (number === 1) return;
        for (const id of heard.keys()) socket.say({ type: "ack", id, cursor: "a-1" });
      },
      heard: (socket, { id, messages }) => {
        const isNew = !heard.has(id);
        heard.set(id, messages);
        // The answer to the second message is lost.
        if (isNew && heard.size === 2) socket.cut();
        else socket.say({ type: "ack", id, cursor: "a-1" });
      },
    });
    const cut = await run(["pub", "d", "t", "a", "b", "c"], { env: envOf(url) });
    expect(cut).toEqual({
      code: 0,
      stdout: "",
      stderr: "Cut off (connection-lost): connecting again.\nConnected again.\n",
    });
    expect([...heard.values()]).toEqual([["a"], ["b"], ["c"]]);
  });

  test("that takes the command's own lost connection for another publisher", async () => {
    const url = await playHub({
      opened: (socket, number) => {
        if (number === 2) socket.refuse(4409, "publisher-conflict");
      },
      heard: (socket, { id, messages }) => {
        if (String(messages) === "1" && !seen.has(id)) {
          seen.add(id);
          socket.cut();
        } else socket.say({ type: "ack", id, cursor: "a-1" });
      },
    });
    const seen = new Set<unknown>();
    const { code, stderr } = await run(["pub", "d", "t", "1"], { env: envOf(url) });
    expect(code).toBe(0);
    expect(stderr).toBe("Cut off (connection-lost): connecting again.\nConnected again.\n");
  });

  test("with what it has not acknowledged: told when a signal ends it", async () => {
    const got = Promise.withResolvers<void>();
    const url = await playHub({
      heard: (socket, { id, messages }) => {
        if (String(messages) === "3") got.resolve();
        else if (String(messages) === "1") socket.say({ type: "ack", id, cursor: "a-1" });
      },
    });
    const command = startCommand(["pub", "d", "t"], envOf(url));
    command.write("1\n2\n3\n");
    await got.promise;
    expect(await command.end("SIGINT")).toBe("SIGINT");
    expect(command.output()).toBe("SIGINT: 2 messages not acknowledged: published, or not");
  });

  test("that ends it for good: what is under way is told", async () => {
    const url = await playHub({ heard: (socket) => socket.close(4501, "key-rejected") });
    const ended = await run(["pub", "d", "t", "a"], { env: envOf(url) });
    expectFailure(ended, "The hub refused (key-rejected)");
    expect(ended.stderr).not.toContain("Cut off");
    expect(ended.stderr).toMatch(/1 message not acknowledged: published, or not\n$/);
  });
});

test.runIf(HAS_TERMINAL)("a terminal is told how far it is, where that takes a while", async () => {
  const url = await playHub({});
  const lines = "(echo 1; echo 2; read line < /dev/tty)";
  const command = `${lines} | (node src/cli/main.ts --state /nowhere pub d t; echo; echo code $?)`;
  const { screen } = await runAtTerminal(command, envOf(url), [
    ["\r2 messages, 0 acknowledged\u001b[K", "\u0003"],
  ]);
  expect(screen).toContain("SIGINT: 2 messages not acknowledged: published, or not");
});

test("receipts that nobody reads stop no message, and those that cannot be written do", async () => {
  let count = 0;
  const url = await playHub({
    heard: (socket, { id }) => {
      count += 1;
      socket.say({ type: "ack", id, cursor: "a-1" });
    },
  });
  const args = ["pub", "d", "t", "--json"];
  const given = { env: envOf(url), input: "m\n".repeat(2000) };
  expect(await run(args, { ...given, stdout: "closed" })).toMatchObject({ code: 0, stderr: "" });
  expect(count).toBe(2000);
  expectFailure(await run(args, { ...given, stdout: "full" }), "ENOSPC");
});

test.each([
  [["--batch", "0"], "from 1 to 1000"],
  [["--batch", "1001"], "from 1 to 1000"],
  [["--id", "a b"], "1 to 64 printable"],
  [["--id", "a".repeat(65)], "1 to 64 printable"],
  [["--id", "a", "--takeover"], "--id displaces nobody"],
  [["m", "--binary"], "--binary publishes stdin"],
  [["--binary", "--batch", "2"], "--binary is one message"],
])("%j is wrong usage", async (args, part) => {
  expectUsageError(
    await run(["pub", "d", "t", ...args], { env: { HUB_URL: "http://127.0.0.1:2" } }),
    part,
  );
});
