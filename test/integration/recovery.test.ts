/** PROTOCOL.md, section 9, over real sockets: who comes late or comes back reads on in the log. */
import { afterEach, describe, expect, inject, test } from "vitest";
import {
  databaseUrl,
  freshDomain,
  freshTopic,
  topicUrls,
  type TopicUrls,
} from "../support/addresses.ts";
import { Client, connect, open, refused } from "../support/client.ts";
import { startBareHub } from "../support/bare-hub.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";
import {
  openSender,
  parseFrame,
  STREAM,
  StreamPublisher,
  StreamSubscriber,
  subscribe,
  type Subscriber,
} from "../support/stream-client.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;

const DURABLE = { history_messages: 100_000, history_seconds: 3600 };
const LOGS = [
  ["durable", DURABLE],
  ["fleeting", null],
] as const;
const KINDS = ["raw", "stream"] as const;
const LOGS_AND_KINDS = LOGS.flatMap(([name, policy]) =>
  KINDS.map((kind) => [name, kind, policy] as const),
);

/** A topic of a domain with this policy, with a publisher. */
async function topicOf(
  policy: Record<string, string | number> | null,
): Promise<TopicUrls & { publisher: StreamPublisher }> {
  const urls = topicUrls(hub.url, await freshDomain(policy));
  return { ...urls, publisher: await StreamPublisher.open(urls.pub) };
}

/** Publishes "1" to "count", each by itself, and returns their cursors; that of "n" is at n. */
async function publishNumbers(publisher: StreamPublisher, count: number): Promise<string[]> {
  const cursors: string[] = [""];
  for (const number of numbers(1, count)) publisher.send([number]);
  while (cursors.length <= count) cursors.push((await publisher.ack()).cursor);
  return cursors;
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => String(from + i));
}

/** Who asked for the last `count` while "first" to "last" were published begins somewhere in between. */
async function expectLastOf(
  subscriber: Subscriber,
  { first, last, count }: { first: number; last: number; count: number },
): Promise<void> {
  const [start] = await subscriber.messages(1);
  expect(Number(start)).toBeGreaterThanOrEqual(Math.max(1, first - count));
  expect(Number(start)).toBeLessThanOrEqual(Math.max(1, last - count + 1));
  const others = numbers(Number(start) + 1, last);
  expect(await subscriber.messages(others.length)).toEqual(others);
}

describe("parameters", () => {
  test.each([
    "since=",
    "since=yesterday",
    "since=0s",
    "since=31d",
    "since=1.5h",
    "since=5w",
    "since=-0",
    "since=-100001",
    "since=-1s",
    "since=Earliest",
    "since=a%20b",
    "since=a%2Fb",
    `since=${"a".repeat(65)}`,
    "gap=",
    "gap=maybe",
  ])("3.1 3.2 9.4 ?%s is an invalid parameter", async (query) => {
    const { sub } = freshTopic();
    const refusal = await refused(`${sub}?${query}`);
    expect(refusal.status).toBe(400);
    expect(JSON.parse(refusal.body)).toMatchObject({
      type: "urn:wspubsub:problem:invalid-parameter",
    });
  });

  test("3.1 each role ignores the parameters of the other", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(`${pub}?since=nonsense&gap=nonsense`);
    const subscriber = await open(`${sub}?takeover=nonsense&heartbeat=nonsense`);
    publisher.send("through");
    expect(await subscriber.texts(1)).toEqual(["through"]);
  });
});

describe.runIf(isLocal)("beginning in the past", () => {
  const beginnings = [
    ["earliest", () => "earliest", 1],
    ["a cursor", (cursors: string[]) => cursors[4], 5],
    ["the last cursor", (cursors: string[]) => cursors[6], 7],
    ["30s", () => "30s", 1],
    ["5m", () => "5m", 1],
    ["2h", () => "2h", 1],
    ["30d", () => "30d", 1],
    ["-1", () => "-1", 6],
    ["-2", () => "-2", 5],
    ["-100000", () => "-100000", 1],
  ] as const;

  test.each(
    LOGS_AND_KINDS.flatMap(([log, kind, policy]) =>
      beginnings.map(([name, since, first]) => [log, kind, name, policy, since, first] as const),
    ),
  )(
    "9.4 9.5 in a %s log a %s subscriber begins at %s",
    async (_, kind, __, policy, since, first) => {
      const { sub, publisher } = await topicOf(policy);
      const cursors = await publishNumbers(publisher, 6);
      const subscriber = await subscribe(kind, `${sub}?since=${since(cursors)}`);
      await publisher.publish(["7"]);
      expect(await subscriber.messages(8 - first)).toEqual(numbers(first, 7));
    },
  );

  test.each(LOGS)("9.1 10.3 every cursor of a %s log is a place to resume", async (_, policy) => {
    const { sub, publisher } = await topicOf(policy);
    const live = await StreamSubscriber.open(sub);
    expect(live.opened.recovered).toBeNull();
    const cursors = [live.cursor, ...(await publishNumbers(publisher, 20)).slice(1)];
    expect(new Set(cursors).size).toBe(21);
    expect(await live.messages(20)).toEqual(numbers(1, 20));
    expect(live.cursor).toBe(cursors[20]);
    for (const [n, cursor] of cursors.entries()) {
      const resumed = await StreamSubscriber.open(`${sub}?since=${cursor}`);
      expect(resumed.opened).toMatchObject({ cursor, recovered: true });
      expect(await resumed.messages(20 - n)).toEqual(numbers(n + 1, 20));
      expect(resumed.cursor).toBe(cursors[20]);
      resumed.leave();
    }
  });

  test("9.4 earliest begins where the log begins, a duration and a number where they say", async () => {
    const { sub, publisher } = await topicOf(DURABLE);
    const { cursor: beginning } = await StreamSubscriber.open(sub);
    const cursors = await publishNumbers(publisher, 3);
    for (const [since, cursor] of [
      ["earliest", beginning],
      ["1h", beginning],
      ["-3", beginning],
      ["-2", cursors[1]],
    ]) {
      const { opened } = await StreamSubscriber.open(`${sub}?since=${since}`);
      expect(opened).toEqual({ type: "open", cursor, recovered: true });
    }
  });

  test("9.4 a duration leaves out what is older", async () => {
    const { sub, publisher } = await topicOf(DURABLE);
    const old = await publisher.publish(["old"]);
    // A second passes, however long the hub takes over each answer.
    for (;;) {
      const subscriber = await StreamSubscriber.open(`${sub}?since=1s`);
      subscriber.leave();
      if (subscriber.opened.cursor === old) break;
    }
    await publisher.publish(["new"]);
    const subscriber = await StreamSubscriber.open(`${sub}?since=1m`);
    expect(await subscriber.messages(2)).toEqual(["old", "new"]);
  });

  test("9.4 a binary and an empty message are in the log as they were", async () => {
    const { sub, publisher } = await topicOf(DURABLE);
    const messages = [Buffer.from([0, 128, 255]), "", Buffer.alloc(0), "Grüße 👋\u0000"];
    await publisher.publish(messages);
    for (const kind of KINDS) {
      const subscriber = await subscribe(kind, `${sub}?since=earliest`);
      expect(await subscriber.messages(4)).toEqual(messages);
    }
  });

  test.each(
    LOGS.flatMap(([log, policy]) => KINDS.map((publisher) => [log, publisher, policy] as const)),
  )(
    "9.5 in a %s log of a %s publisher's, who joins while messages pour in misses and repeats none",
    async (_, kind, policy) => {
      const { pub, sub } = topicUrls(hub.url, await freshDomain(policy));
      const send = await openSender(kind, pub);
      const steady = await StreamSubscriber.open(sub);
      const [rounds, perRound] = [25, 400];
      const past = policy === null ? 100 : 100_000;
      for (let round = 0; round < rounds; round++) {
        const [first, last] = [round * perRound + 1, (round + 1) * perRound];
        const joining = Promise.all([
          subscribe("raw", `${sub}?since=${steady.cursor}`),
          subscribe("stream", `${sub}?since=${steady.cursor}&gap=close`),
          subscribe("raw", `${sub}?since=-100`),
          subscribe("stream", `${sub}?since=-${past}`),
        ]);
        for (let n = first; n <= last; n += 4) send(numbers(n, n + 3));
        const [raw, stream, rawPast, streamPast] = await joining;
        expect(await steady.messages(perRound)).toEqual(numbers(first, last));
        expect(await raw.messages(perRound)).toEqual(numbers(first, last));
        expect(await stream.messages(perRound)).toEqual(numbers(first, last));
        await expectLastOf(rawPast, { first, last, count: 100 });
        await expectLastOf(streamPast, { first, last, count: past });
        for (const joined of [raw, stream, rawPast, streamPast]) joined.leave();
      }
    },
  );
});

describe.runIf(isLocal)("gaps", () => {
  const THREE = { history_messages: 3 };

  test("9.2 the log keeps its last messages", async () => {
    const { sub, publisher } = await topicOf(THREE);
    const cursors = await publishNumbers(publisher, 10);
    const stream = await StreamSubscriber.open(`${sub}?since=earliest`);
    expect(stream.opened).toMatchObject({ cursor: cursors[7], recovered: true });
    expect(await stream.messages(3)).toEqual(["8", "9", "10"]);
    const raw = await open(`${sub}?since=earliest`);
    expect(await raw.texts(3)).toEqual(["8", "9", "10"]);
  });

  test("9.2 the log keeps no message longer than it may", async () => {
    const { sub, publisher } = await topicOf({ history_seconds: 1 });
    const { cursor: beginning } = await StreamSubscriber.open(sub);
    await publisher.publish(["old"]);
    for (;;) {
      const subscriber = await StreamSubscriber.open(`${sub}?since=earliest`);
      subscriber.leave();
      if (subscriber.opened.cursor !== beginning) break;
    }
    const late = await StreamSubscriber.open(`${sub}?since=${beginning}`);
    expect(late.opened.recovered).toBe(false);
    await late.gap();
    await publisher.publish(["new"]);
    expect(await late.messages(1)).toEqual(["new"]);
  });

  test("9.3 without history the hub remembers a thousand messages or a mebibyte at most", async () => {
    const { sub, publisher } = await topicOf(null);
    const { cursor: beginning } = await StreamSubscriber.open(sub);
    for (let n = 1; n <= 2000; n += 100) await publisher.publish(numbers(n, n + 99));
    const many = await StreamSubscriber.open(`${sub}?since=${beginning}`);
    expect(many.opened.recovered).toBe(false);
    await many.gap();
    const head = await publisher.publish(["2001"]);
    const remembered = await many.until(head);
    expect(remembered.length).toBeLessThanOrEqual(1025);
    expect(remembered.length).toBeGreaterThan(100);
    expect(remembered).toEqual(numbers(2002 - remembered.length, 2001));

    for (let n = 0; n < 20; n++) await publisher.publish(["x".repeat(100_000)]);
    const large = await StreamSubscriber.open(`${sub}?since=earliest`);
    const last = await publisher.publish(["last"]);
    expect((await large.until(last)).length).toBeLessThanOrEqual(11);
  });

  test("9.6 10.3 10.5 a stream subscriber is told both ends of a gap", async () => {
    const { sub, publisher } = await topicOf(THREE);
    const cursors = await publishNumbers(publisher, 10);
    const subscriber = await StreamSubscriber.open(`${sub}?since=${cursors[2]}`);
    expect(subscriber.opened).toEqual({ type: "open", cursor: cursors[2], recovered: false });
    expect(await subscriber.gap()).toEqual({ type: "gap", from: cursors[2], to: cursors[7] });
    await publisher.publish(["11"]);
    expect(await subscriber.messages(4)).toEqual(["8", "9", "10", "11"]);
  });

  test("9.6 the last message before the log is no gap, the one before is", async () => {
    const { sub, publisher } = await topicOf(THREE);
    const cursors = await publishNumbers(publisher, 10);
    const inTime = await StreamSubscriber.open(`${sub}?since=${cursors[7]}`);
    expect(inTime.opened.recovered).toBe(true);
    expect(await inTime.messages(3)).toEqual(["8", "9", "10"]);
    const late = await StreamSubscriber.open(`${sub}?since=${cursors[6]}`);
    expect(late.opened.recovered).toBe(false);
    expect(await late.gap()).toMatchObject({ from: cursors[6], to: cursors[7] });
    expect(await late.messages(3)).toEqual(["8", "9", "10"]);
  });

  test.each([
    ["a number", "-5", 5],
    ["a duration", "1h", 0],
  ])("9.6 10.5 %s that reaches behind the log is a gap", async (_, since, from) => {
    const { sub, publisher } = await topicOf(THREE);
    const { cursor: beginning } = await StreamSubscriber.open(sub);
    const cursors = await publishNumbers(publisher, 10);
    const subscriber = await StreamSubscriber.open(`${sub}?since=${since}`);
    expect(subscriber.opened.recovered).toBe(false);
    const start = cursors[from] || beginning;
    expect(await subscriber.gap()).toEqual({ type: "gap", from: start, to: cursors[7] });
    expect(await subscriber.messages(3)).toEqual(["8", "9", "10"]);
  });

  test("9.6 10.3 who was told that nothing is missing misses nothing", async () => {
    const { sub, publisher } = await topicOf(null);
    for (let first = 1; first < 10_000; first += 400) {
      // Nearly as much as the hub remembers, while it has to make room.
      const joining = Promise.all(
        [-500, -600, -700, -800].map((since) => StreamSubscriber.open(`${sub}?since=${since}`)),
      );
      for (let n = first; n < first + 400; n += 4) publisher.send(numbers(n, n + 3));
      const { acked } = await publisher.answers(100);
      expect(acked.length).toBe(100);
      const { cursor: head } = await StreamSubscriber.open(sub);
      for (const subscriber of await joining) {
        if (subscriber.opened.recovered === false) await subscriber.gap();
        const received = await subscriber.until(head);
        expect(received).toEqual(numbers(first + 400 - received.length, first + 399));
        subscriber.leave();
      }
    }
  });

  test("9.7 a raw subscriber is not told of a gap", async () => {
    const { sub, publisher } = await topicOf(THREE);
    const cursors = await publishNumbers(publisher, 10);
    const subscriber = await open(`${sub}?since=${cursors[2]}&gap=skip`);
    await publisher.publish(["11"]);
    expect(await subscriber.texts(4)).toEqual(["8", "9", "10", "11"]);
  });

  test.each(KINDS)("9.7 8.1 gap=close closes a %s subscriber before a message", async (kind) => {
    const { sub, publisher } = await topicOf(THREE);
    const cursors = await publishNumbers(publisher, 10);
    const url = `${sub}?since=${cursors[2]}&gap=close`;
    const subscriber = await RawSocket.open(url, kind === "stream" ? STREAM : null);
    const types: string[] = [];
    let frame = await subscriber.next();
    for (; frame.opcode === OPCODE.text; frame = await subscriber.next()) {
      types.push(parseFrame(frame.payload.toString()).type);
    }
    expect(["open", "gap"]).toEqual(expect.arrayContaining(types));
    expect(frame.opcode).toBe(OPCODE.close);
    expect(frame.payload.readUInt16BE(0)).toBe(4510);
    expect(frame.payload.subarray(2).toString()).toBe("history-gap");
    subscriber.destroy();
    const complete = await subscribe(kind, `${sub}?since=${cursors[8]}&gap=close`);
    expect(await complete.messages(2)).toEqual(["9", "10"]);
  });

  test.each(LOGS)("9.1 9.6 a cursor of another topic is a gap in a %s log", async (_, policy) => {
    const domain = await freshDomain(policy);
    const [one, other] = [topicUrls(hub.url, domain), topicUrls(hub.url, domain)];
    const foreign = await (await StreamPublisher.open(other.pub)).publish(["elsewhere"]);
    const publisher = await StreamPublisher.open(one.pub);
    const cursors = await publishNumbers(publisher, 3);

    const stream = await StreamSubscriber.open(`${one.sub}?since=${foreign}`);
    expect(stream.opened.recovered).toBe(false);
    await stream.gap();
    expect(await stream.messages(3)).toEqual(["1", "2", "3"]);
    expect(stream.cursor).toBe(cursors[3]);
    const raw = await open(`${one.sub}?since=${foreign}`);
    expect(await raw.texts(3)).toEqual(["1", "2", "3"]);
  });
});

describe.runIf(isLocal)("how long a log lives", () => {
  test("9.8 who starts an exclusive topic again in time goes on where it ended", async () => {
    const { pub, sub, publisher } = await topicOf({ ...DURABLE, grace_seconds: 0 });
    const cursors = await publishNumbers(publisher, 3);
    await publisher.client.close();
    await untilVacant(sub);
    const successor = await StreamPublisher.open(pub);
    const late = await StreamSubscriber.open(`${sub}?since=${cursors[1]}`);
    expect(late.opened).toMatchObject({ cursor: cursors[1], recovered: true });
    await successor.publish(["4"]);
    expect(await late.messages(3)).toEqual(["2", "3", "4"]);
  });

  test("9.8 a log that keeps messages for no time ends with its topic", async () => {
    const { pub, sub, publisher } = await topicOf({ history_messages: 10, grace_seconds: 0 });
    const cursors = await publishNumbers(publisher, 3);
    await publisher.client.close();
    await untilVacant(sub);
    const successor = await StreamPublisher.open(pub);
    const late = await StreamSubscriber.open(`${sub}?since=${cursors[1]}`);
    expect(late.opened.recovered).toBe(false);
    await late.gap();
    await successor.publish(["anew"]);
    expect(await late.messages(1)).toEqual(["anew"]);
  });

  test("9.8 a shared topic's log is there when its publishers have left", async () => {
    const { pub, sub, publisher } = await topicOf({ history_messages: 10, publishers: "shared" });
    const cursors = await publishNumbers(publisher, 3);
    await publisher.client.close();
    const late = await StreamSubscriber.open(`${sub}?since=${cursors[1]}`);
    expect(await late.messages(2)).toEqual(["2", "3"]);
    await (await StreamPublisher.open(pub)).publish(["4"]);
    expect(await late.messages(1)).toEqual(["4"]);
  });
});

describe.runIf(isLocal)("a hub that is killed", () => {
  const hubs: HubProcess[] = [];
  afterEach(async () => {
    for (const own of hubs.splice(0)) await own.stop();
  });

  async function ownHub(options: { port?: number; state?: string } = {}): Promise<HubProcess> {
    const own = await startBareHub({ ...options, env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    return own;
  }

  async function killAndRestart(own: HubProcess): Promise<HubProcess> {
    await own.kill();
    return ownHub({ port: own.port, state: own.state });
  }

  test("9.2 10.8 10.9 loses nothing that was acknowledged or seen, and publishes nothing twice", async () => {
    let own = await ownHub();
    const { pub, sub } = topicUrls(own.url.replace(/^http/, "ws"), await freshDomain(DURABLE));
    const acked = new Map<string, string>();
    const published: string[] = [];
    let sent = 0;
    for (const killAfter of [200, 300]) {
      const publisher = await StreamPublisher.open(pub);
      const subscribers = [await subscribe("raw", sub), await subscribe("stream", sub)];
      const before = published.length;
      const sendNext = () => {
        const messages = [`${sent}a`, `${sent}b`, `${sent}c`];
        published.push(...messages);
        publisher.send(messages, `frame-${sent}`);
        sent++;
      };
      for (let n = 0; n < 50; n++) sendNext();
      for (let n = 0; n < killAfter; n++) {
        const { id, cursor } = await publisher.ack();
        acked.set(id, cursor);
        sendNext();
      }
      // Those that come in its last moments count, too.
      const lastAcks = restOfAcks(publisher, acked);
      const seen = Promise.all(subscribers.map((subscriber) => subscriber.rest()));
      own = await killAndRestart(own);
      await lastAcks;

      const log = await readLog(sub);
      expect(log).toEqual(published.slice(0, log.length));
      expect(log.length % 3, "a frame is in the log as a whole or not at all").toBe(0);
      expect(log.length).toBeGreaterThanOrEqual(acked.size * 3);
      for (const messages of await seen) {
        expect(before + messages.length).toBeLessThanOrEqual(log.length);
        expect(messages).toEqual(published.slice(before, before + messages.length));
      }

      const successor = await StreamPublisher.open(pub);
      const resent = Math.max(0, sent - 200);
      for (let n = resent; n < sent; n++) {
        successor.send([`${n}a`, `${n}b`, `${n}c`], `frame-${n}`);
      }
      for (let n = resent; n < sent; n++) {
        const { id, cursor } = await successor.ack();
        expect(id).toBe(`frame-${n}`);
        expect(acked.get(id) ?? cursor).toBe(cursor);
        acked.set(id, cursor);
      }
      expect(await readLog(sub)).toEqual(published);
      await successor.client.close();
    }
  });

  test("9.2 what a subscriber has seen of a raw publisher is in the log", async () => {
    const own = await ownHub();
    const { pub, sub } = topicUrls(own.url.replace(/^http/, "ws"), await freshDomain(DURABLE));
    const publisher = await open(pub);
    const subscriber = await subscribe("raw", sub);
    const sent = numbers(1, 5000);
    for (const text of sent) publisher.send(text);
    const seen = await subscriber.messages(500);
    const others = subscriber.rest();
    await killAndRestart(own);
    seen.push(...(await others));
    expect(seen).toEqual(sent.slice(0, seen.length));
    const log = await readLog(sub);
    expect(log.length).toBeGreaterThanOrEqual(seen.length);
    expect(log).toEqual(sent.slice(0, log.length));
  });

  test("9.3 9.9 without history it begins a new log, and who comes back is told", async () => {
    const own = await ownHub();
    const { pub, sub } = topicUrls(own.url.replace(/^http/, "ws"), await freshDomain());
    const publisher = await StreamPublisher.open(pub);
    const cursor = await publisher.publish(["before"]);
    await killAndRestart(own);
    const successor = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(`${sub}?since=${cursor}`);
    expect(subscriber.opened.recovered).toBe(false);
    await subscriber.gap();
    await successor.publish(["after"]);
    expect(await subscriber.messages(1)).toEqual(["after"]);
  });
});

/** All that the log has, read before anyone publishes to it. */
async function readLog(sub: string): Promise<unknown[]> {
  const { cursor: head } = await StreamSubscriber.open(sub);
  const reader = await StreamSubscriber.open(`${sub}?since=earliest`);
  return reader.until(head);
}

/** Adds the acks that come before the connection ends. */
async function restOfAcks(publisher: StreamPublisher, acked: Map<string, string>): Promise<void> {
  for (;;) {
    const item = await publisher.client.next();
    if (item.type === "close") return;
    if (item.type !== "text") throw new Error("Received a binary frame");
    const frame = parseFrame(item.text);
    if (frame.type !== "ack") throw new Error(`Expected an ack, not ${item.text}`);
    acked.set(frame.id, frame.cursor);
  }
}

/** Waits until a topic has ended. */
async function untilVacant(sub: string): Promise<void> {
  for (;;) {
    const outcome = await connect(sub);
    if (!(outcome instanceof Client)) return;
    outcome.socket.terminate();
  }
}
