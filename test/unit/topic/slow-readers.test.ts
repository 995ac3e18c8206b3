/** Subscribers that are behind, as a whole topic has them: what is kept for them, and what they may fill. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { formatSubscriberAck } from "../../../src/core/client-frame.ts";
import { parseHubFrame, type HubFrame } from "../../../src/core/hub-frame.ts";
import { Audience } from "../../../src/delivery/audience.ts";
import type { SubscriberSocket } from "../../../src/delivery/subscriber.ts";
import { readAttachment, writeAttachment } from "../../../src/topic/attachment.ts";
import { heldSocket, heldSubscriber, type HeldSocket } from "../support/held-socket.ts";
import { countWaits } from "../support/looks.ts";
import { createPipeline, publish } from "../support/pipeline.ts";
import { batchAt, cursorAt } from "../support/replaying.ts";
import { hubSockets, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const MIB = 1024 * 1024;
const STREAM = { protocol: "stream" } as const;
/** Is read alone. */
const LARGE = "x".repeat(128 * 1024);

afterEach(() => vi.restoreAllMocks());

async function frame(client: Client): Promise<HubFrame> {
  const parsed = parseHubFrame((await client.next()) as string);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** Publishes, and waits until it is in the log. */
async function log(source: Client, id: number, message: string): Promise<void> {
  source.send(JSON.stringify({ type: "publish", id: String(id), messages: [message] }));
  expect(await frame(source)).toMatchObject({ type: "ack" });
}

test("9.6 who is told that it has recovered is told of no gap: its rows stay from then on", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher({ historyMessages: 20, historyDelayMs: 0 }, STREAM));
  for (let n = 1; n <= 20; n++) await log(source, n, `${n} ${LARGE}`);
  await evict(topic);
  const first = await open(topic, subscriber(null, { ...STREAM, since: "earliest" }));
  const opened = await frame(first);
  if (opened.type !== "open") throw new Error("Not open");
  // It acknowledges nothing else, is given what a client may owe, and holds what lies behind.
  first.send(formatSubscriberAck(opened.cursor));
  for (let n = 1; n <= 5; n++) expect(await frame(first)).toMatchObject({ type: "messages" });
  // From here on its replay looks at nothing.
  const looks = Promise.withResolvers<void>();
  const wait = scheduler.wait.bind(scheduler);
  vi.spyOn(scheduler, "wait").mockImplementation((ms) => (ms === 10 ? looks.promise : wait(ms)));
  await wait(20);
  const second = await open(topic, subscriber(null, { ...STREAM, since: "earliest" }));
  const begun = await frame(second);
  expect(begun).toMatchObject({ type: "open", recovered: true });
  for (let n = 21; n <= 40; n++) await log(source, n, `${n} ${LARGE}`);
  looks.resolve();
  for (let n = 1; n <= 40; n++) {
    const next = await frame(second);
    if (next.type !== "messages") throw new Error(`A frame of type ${next.type}`);
    expect(next.messages).toEqual([`${n} ${LARGE}`]);
    second.send(formatSubscriberAck(next.cursor));
  }
});

test("9.5 who slept with all there was is not given it again", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher({ historyMessages: 100 }, STREAM));
  await log(source, 1, "one");
  const reader = await open(topic, subscriber(null, { ...STREAM, since: "earliest" }));
  expect(await frame(reader)).toMatchObject({ type: "open" });
  const one = await frame(reader);
  expect(one).toMatchObject({ messages: ["one"] });
  await runInDurableObject(topic, (_, ctx) => {
    for (const socket of hubSockets(ctx, "subscriber")) {
      const attachment = readAttachment(socket);
      if (attachment?.role !== "subscriber" || one.type !== "messages") throw new Error("Nobody");
      writeAttachment(socket, { ...attachment, behind: one.cursor });
    }
  });
  await evict(topic);
  await log(source, 2, "two");
  expect(await frame(reader)).toMatchObject({ messages: ["two"] });
  await evict(topic);
  await log(source, 3, "three");
  expect(await frame(reader)).toMatchObject({ messages: ["three"] });
});

test("11.7 a message of 1 MiB to those who do not read fills 64 MiB and no more", async () => {
  const closed: WebSocket[] = [];
  const all = Array.from({ length: 200 }, () => heldSubscriber());
  const pipeline = createPipeline({
    close: (socket) => {
      closed.push(socket);
      pipeline.fanOut.remove(socket);
    },
    onIdle: () => idle.resolve(),
  });
  const idle = Promise.withResolvers<void>();
  for (const each of all) pipeline.fanOut.add(each.subscriber);
  let most = 0;
  countWaits(() => {
    const here = all.filter(({ socket }) => !closed.includes(socket));
    most = Math.max(
      most,
      here.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0),
    );
  });
  publish(pipeline, new ArrayBuffer(MIB));
  await idle.promise;
  expect(all.every(({ sent }) => sent.length === 1)).toBe(true);
  expect(most).toBeLessThanOrEqual(65 * MIB);
  expect(closed.length).toBeGreaterThan(130);
});

/** A raw subscriber's, of which nothing is kept. */
function keptSocket(): HeldSocket & SubscriberSocket {
  return Object.assign(heldSocket(), {
    protocol: "raw" as const,
    closesOnGap: false,
    rememberPlace: () => {},
  });
}

test("11.7 those who are live and those who are replayed to share it", async () => {
  const closed: WebSocket[] = [];
  const idle = Promise.withResolvers<void>();
  const head = cursorAt(3);
  const audience: Audience = new Audience(
    {
      head,
      gone: 0,
      resume: () => ({ cursor: cursorAt(0), gapFrom: null }),
      read: (offset) => (offset < 3 ? batchAt(offset + 1, "x".repeat(1000)) : null),
      keepBehind: () => {},
    },
    {
      maxBacklogBytes: () => 64 * MIB,
      close: (socket) => {
        closed.push(socket);
        audience.remove(socket);
      },
      onUnreadable: () => {},
      onIdle: () => idle.resolve(),
      onFailure: (error) => idle.reject(error),
    },
  );
  const live = Array.from({ length: 70 }, keptSocket);
  for (const each of live) audience.accept(each, null);
  audience.fanOut.deliver(batchAt(3, new ArrayBuffer(MIB)));
  while (audience.fanOut.serve()) continue;
  const time = countWaits();
  const late = keptSocket();
  audience.accept(late, { type: "earliest" });
  expect(late.sent).toEqual([]);
  await idle.promise;
  expect(late.sent).toHaveLength(3);
  expect(time.waitedMs).toBeGreaterThanOrEqual(250);
  expect(closed).toHaveLength(36);
});
