/** PROTOCOL.md, section 11, over real sockets: who does not read is let go, and nobody else is bothered. */
import { afterEach, describe, expect, inject, test } from "vitest";
import { listProcessTree, readUsage } from "../bench/processes/process-tree.ts";
import { databaseUrl, freshDomain, topicUrls, type TopicUrls } from "../support/addresses.ts";
import { open } from "../support/client.ts";
import { startHub, type HubProcess } from "../support/hub-process.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";
import {
  messagesOf,
  parseFrame,
  STREAM,
  StreamPublisher,
  StreamSubscriber,
  subscribe,
  type Message,
  type Subscriber,
} from "../support/stream-client.ts";

const hub = inject("hub");
const DURABLE = { history_messages: 100_000, history_seconds: 3600 };
const MIB = 1_048_576;
/** Publishes of 16 messages of 16 KiB each: 400 of them are 100 MiB. */
const MESSAGES = 16;
const MESSAGE_BYTES = 16_384;
const FLOOD = 400;

/** The messages of a publish, which begin with their numbers. */
function numbered(publish: number): string[] {
  return upTo(MESSAGES).map((n) => `${publish * MESSAGES + n} `.padEnd(MESSAGE_BYTES, "x"));
}

function numberOf(message: Message | undefined): number {
  return Number.parseInt(String(message), 10);
}

/** Receives the messages of a publish. */
async function expectNumbered(subscriber: Subscriber, publish: number): Promise<void> {
  const received = await subscriber.messages(MESSAGES);
  expect(received.map(numberOf)).toEqual(upTo(MESSAGES).map((n) => publish * MESSAGES + n));
}

/** Publishes; no more than two publishes are on their way to the publisher or to `fast`. */
async function flood(
  publisher: StreamPublisher,
  fast: Subscriber,
  { from, to }: { from: number; to: number },
): Promise<void> {
  publisher.send(numbered(from));
  for (let n = from; n < to; n++) {
    if (n + 1 < to) publisher.send(numbered(n + 1));
    await publisher.ack();
    await expectNumbered(fast, n);
  }
}

/** What a subscriber that reads again finds: its messages, its last cursor, and how it was closed. */
async function readBacklog(
  raw: RawSocket,
): Promise<{ numbers: number[]; cursor: string | null; code: number | null }> {
  const numbers: number[] = [];
  let cursor: string | null = null;
  raw.socket.resume();
  for (;;) {
    const ended = Symbol("ended");
    const frame = await raw.next().catch(() => ended);
    if (typeof frame === "symbol") return { numbers, cursor, code: null };
    if (frame.opcode === OPCODE.close) {
      return { numbers, cursor, code: frame.payload.readUInt16BE(0) };
    }
    const text = frame.payload.toString();
    if (!text.startsWith("{")) {
      numbers.push(numberOf(text));
      continue;
    }
    const parsed = parseFrame(text);
    if ("cursor" in parsed) ({ cursor } = parsed);
    if (parsed.type === "messages") numbers.push(...messagesOf(parsed).map(numberOf));
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

async function topicOf(
  policy: Record<string, number> | null,
  url = hub.url,
): Promise<TopicUrls & { publisher: StreamPublisher }> {
  const urls = topicUrls(url, await freshDomain(policy));
  return { ...urls, publisher: await StreamPublisher.open(urls.pub) };
}

/** Reads what it missed, without a hole. */
async function resume(sub: string, cursor: string, next: number): Promise<void> {
  const resumed = await StreamSubscriber.open(`${sub}?since=${cursor}&gap=close`);
  expect(resumed.opened).toMatchObject({ cursor, recovered: true });
  for (let n = next; n < FLOOD * MESSAGES; n++) {
    const [message] = await resumed.messages(1);
    expect(numberOf(message)).toBe(n);
  }
  resumed.leave();
}

describe.runIf(hub.sqlEndpoint !== null)("slow subscribers", () => {
  const hubs: HubProcess[] = [];
  afterEach(async () => {
    for (const own of hubs.splice(0)) await own.stop();
  });

  test("11.1 11.2 8.1 one that stops reading is closed, delays no other and can resume", async () => {
    const { sub, publisher } = await topicOf(DURABLE);
    const fast = await StreamSubscriber.open(sub);
    const stalled = await RawSocket.open(sub);
    const stalledStream = await RawSocket.open(sub, STREAM);
    // The hub has them before the first message, and a cursor is there to resume from.
    await publisher.publish(numbered(0));
    await expectNumbered(fast, 0);
    stalled.socket.pause();
    stalledStream.socket.pause();
    await flood(publisher, fast, { from: 1, to: FLOOD });

    for (const raw of [stalled, stalledStream]) {
      const { numbers, cursor, code } = await readBacklog(raw);
      expect(numbers.length).toBeLessThan(FLOOD * MESSAGES);
      expect(numbers).toEqual(upTo(numbers.length));
      expect([4408, null]).toContain(code);
      if (cursor !== null) await resume(sub, cursor, numbers.length);
      raw.destroy();
    }
  });

  test("11.1 what ten of them do not read does not fill the hub's memory", async () => {
    const own = await startHub({ env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    const { sub, publisher } = await topicOf(null, own.url.replace(/^http/, "ws"));
    const fast = await StreamSubscriber.open(sub);
    const residentBytes = () => readUsage(listProcessTree(own.pid)).residentBytes;
    // What 100 MiB cost when all read them: buffers, a heap that has grown.
    await flood(publisher, fast, { from: 0, to: FLOOD });
    const before = residentBytes();
    const stalled = await Promise.all(
      upTo(10).map((n) => RawSocket.open(sub, n % 2 ? STREAM : null)),
    );
    for (const { socket } of stalled) socket.pause();
    let most = 0;
    for (let n = 0; n < FLOOD; n += 20) {
      await flood(publisher, fast, { from: n, to: n + 20 });
      most = Math.max(most, residentBytes());
    }
    for (const raw of stalled) raw.destroy();
    // Ten times 100 MiB were published to them.
    expect(most - before).toBeLessThan(200 * MIB);
  });

  test("11.7 what forty of them may have waiting is bounded for all together", async () => {
    const own = await startHub({ env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    const url = own.url.replace(/^http/, "ws");
    const { sub, publisher } = await topicOf({ max_backlog_bytes: 16 * MIB }, url);
    const fast = await StreamSubscriber.open(sub);
    const residentBytes = () => readUsage(listProcessTree(own.pid)).residentBytes;
    await flood(publisher, fast, { from: 0, to: 300 });
    const before = residentBytes();
    const stalled = await Promise.all(upTo(40).map(() => RawSocket.open(sub)));
    for (const { socket } of stalled) socket.pause();
    let most = 0;
    for (let n = 0; n < 100; n += 10) {
      await flood(publisher, fast, { from: n, to: n + 10 });
      most = Math.max(most, residentBytes());
    }
    for (const raw of stalled) raw.destroy();
    // Each by itself might have 16 MiB, and a connection of the machine holds some of its own.
    expect(most - before).toBeLessThan(250 * MIB);
  });

  test("11.1 a burst that is larger than the bound closes nobody who reads", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain());
    const publisher = await open(pub);
    const subscribers = [await subscribe("raw", sub), await subscribe("stream", sub)];
    for (let n = 0; n < 64; n++) for (const message of numbered(n)) publisher.send(message);
    for (let n = 0; n < 64; n++) {
      for (const subscriber of subscribers) await expectNumbered(subscriber, n);
    }
  });

  test("11.1 a past larger than the bound arrives as fast as it is read", async () => {
    const { sub, publisher } = await topicOf({ ...DURABLE, max_backlog_bytes: 100_000 });
    const log = upTo(50);
    for (const n of log) await publisher.publish(numbered(n));
    const [silent, acking] = [
      await StreamSubscriber.open(`${sub}?since=earliest`),
      await StreamSubscriber.open(`${sub}?since=earliest`),
    ];
    acking.ack();
    for (const n of log) {
      await expectNumbered(silent, n);
      await expectNumbered(acking, n);
      acking.ack();
    }
    await publisher.publish(["and on"]);
    expect(await silent.messages(1)).toEqual(["and on"]);
    expect(await acking.messages(1)).toEqual(["and on"]);
  });

  test("11.3 from its first ack on, what it did not acknowledge is its backlog", async () => {
    const { sub, publisher } = await topicOf({ ...DURABLE, max_backlog_bytes: 300_000 });
    const [never, always, lapsed] = [
      await StreamSubscriber.open(sub),
      await StreamSubscriber.open(sub),
      await StreamSubscriber.open(sub),
    ];
    await publisher.publish(["0"]);
    for (const subscriber of [never, always, lapsed]) await subscriber.messages(1);
    lapsed.ack();
    always.ack();
    for (let n = 1; n < 20; n++) {
      await publisher.publish([`${n} `.padEnd(65_536, "x")]);
      for (const subscriber of [never, always]) {
        expect(numberOf((await subscriber.messages(1))[0])).toBe(n);
      }
      always.ack();
    }
    const received = (await lapsed.rest()).map(numberOf);
    // Over the bound at the fifth that it did not acknowledge.
    expect(received.length).toBeGreaterThanOrEqual(4);
    expect(received.length).toBeLessThanOrEqual(8);
    expect(received).toEqual(upTo(received.length).map((n) => n + 1));
    const resumed = await StreamSubscriber.open(`${sub}?since=${lapsed.cursor}`);
    expect(numberOf((await resumed.messages(1))[0])).toBe(received.length + 1);
  });
});
