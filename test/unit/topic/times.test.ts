/** PROTOCOL.md, 10.4: when messages were published, as subscribers are told, live and out of the past. */
import { describe, expect, test } from "vitest";
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import type { Log } from "../../../src/topic/log.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { onStorage, START_MS } from "../support/log-storage.ts";
import { openLog, raw } from "../support/logs.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

const DAY_MS = 86_400_000;

/** How many messages were published at which time; the rest of the log. */
function timesBehind(log: Log, offset: number): (readonly [number, number])[] {
  const batch = log.read(offset);
  if (!(batch instanceof Batch)) return [];
  const times = batch.frames.flatMap(({ text }) => {
    const frame = parseHubFrame(text);
    if (!frame.ok || frame.value.type !== "messages") throw new Error("No frame of messages");
    return (frame.value.at ?? []).map(({ count, atMs }) => [count, atMs - START_MS] as const);
  });
  return [...times, ...timesBehind(log, batch.place.last)];
}

describe.each([
  ["in memory", {}],
  ["durable", { historyMessages: 100 }],
])("a log %s", (_, policy) => {
  test("10.4 has the times of its messages, those of one time together", () =>
    onStorage((storage) => {
      const log = openLog(storage, policy);
      log.append(raw("1", "2"), START_MS);
      log.append(raw("3"), START_MS);
      log.append(raw("4"), START_MS + 5);
      expect(timesBehind(log, 0)).toEqual([
        [3, 0],
        [1, 5],
      ]);
      expect(timesBehind(log, 1)).toEqual([
        [2, 0],
        [1, 5],
      ]);
    }));

  test("9.10 tells corrected times, also of what was read before", () =>
    onStorage((storage) => {
      const log = openLog(storage, policy);
      log.append(raw("1"), START_MS);
      log.append(raw("2"), START_MS + DAY_MS);
      expect(timesBehind(log, 0)).toEqual([
        [1, 0],
        [1, DAY_MS],
      ]);
      log.append(raw("3"), START_MS + 7);
      expect(timesBehind(log, 0)).toEqual([
        [1, 0],
        [2, 7],
      ]);
    }));
});

describe("a durable log", () => {
  test("10.4 9.10 has corrected times after a restart, too", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100 });
      log.append(raw("1"), START_MS);
      log.append(raw("2"), START_MS + DAY_MS);
      log.append(raw("3"), START_MS + 7);
      const again = openLog(storage, { historyMessages: 100 });
      expect(timesBehind(again, 0)).toEqual([
        [1, 0],
        [2, 7],
      ]);
    }));

  test("10.4 counts times in what is read at once: many small messages are several frames", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10_000 });
      for (let n = 0; n < 6000; n++) log.append(raw(""), START_MS + n);
      const again = openLog(storage, { historyMessages: 10_000 });
      const batch = again.read(0);
      if (!(batch instanceof Batch)) throw new Error("Not readable");
      expect(batch.messages.length).toBeGreaterThan(2000);
      expect(batch.messages.length).toBeLessThan(4000);
      expect(timesBehind(again, 0)).toHaveLength(6000);
    }));
});

async function nextFrame(
  client: Client,
): Promise<{ readonly type: string; readonly at?: unknown }> {
  const received = await client.next();
  if (typeof received !== "string") throw new Error(`Not a frame: ${JSON.stringify(received)}`);
  return JSON.parse(received);
}

function openReader(topic: DurableObjectStub<Topic>, since: string | null): Promise<Client> {
  return open(topic, subscriber(null, { protocol: "stream", since }));
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a subscriber, $name", ({ settle }) => {
  test("10.4 is told the time of what is live, and the same of what is past", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({ historyMessages: 10 }, { protocol: "stream" }));
    const live = await openReader(topic, null);
    expect(await nextFrame(live)).toMatchObject({ type: "open" });
    using clock = new Clock();
    const times: string[] = [];
    for (const id of ["1", "2"]) {
      clock.set(clock.nowMs + 1234);
      times.push(new Date(clock.nowMs).toISOString());
      source.send(JSON.stringify({ type: "publish", id, messages: [id] }));
      expect(await nextFrame(source)).toMatchObject({ type: "ack", id });
      expect(await nextFrame(live)).toMatchObject({ type: "messages", at: times.at(-1) });
    }
    await settle(topic);
    const reader = await openReader(topic, "earliest");
    expect(await nextFrame(reader)).toMatchObject({ type: "open" });
    expect(await nextFrame(reader)).toMatchObject({
      type: "messages",
      at: times.map((time) => [1, time]),
      messages: ["1", "2"],
    });
  });
});
