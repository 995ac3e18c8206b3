/**
 * The alarm is derived from everything that can be due, and is set whatever the runtime has forgotten. It costs a
 * row: no message sets it.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { formatPublish, formatSubscriberAck } from "../../../src/core/client-frame.ts";
import { Alarm } from "../../../src/topic/alarm.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { failNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshDomain, freshTopic, wake } from "../support/topics.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Is read alone. */
const LARGE = "x".repeat(128 * 1024);

interface Stored {
  readonly keys: string[];
  readonly tables: unknown[];
  readonly alarmMs: number | null;
}

function stored(topic: DurableObjectStub<Topic>): Promise<Stored> {
  return runInDurableObject(topic, async (_, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    tables: storage.sql
      .exec("select name from sqlite_master where name = 'log'")
      .toArray()
      .map(({ name }) => name),
    alarmMs: await storage.getAlarm(),
  }));
}

function countRows(topic: DurableObjectStub<Topic>): Promise<number> {
  return runInDurableObject(
    topic,
    (_, { storage }) => storage.sql.exec("select * from log").toArray().length,
  );
}

const NOTHING: Stored = { keys: [], tables: [], alarmMs: null };

/** Takes the alarm away as the runtime does after six failures, and the object out of memory. */
async function loseAlarm(topic: DurableObjectStub<Topic>): Promise<void> {
  await runInDurableObject(topic, async (_, { storage }) => {
    expect(await storage.getAlarm()).not.toBeNull();
    await storage.deleteAlarm();
  });
  await evict(topic);
}

async function leave(client: Client): Promise<void> {
  client.close(1000, "");
  await client.next();
  await atRest();
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("$name", ({ settle }) => {
  test.each(["exclusive", "shared"] as const)(
    "nothing is left of an %s topic when its history is over",
    async (publishers) => {
      using clock = new Clock();
      const topic = freshTopic();
      const source = await open(topic, publisher({ publishers, historySeconds: 100 }));
      for (let n = 0; n < 3; n++) {
        source.send("x");
        await clock.advance(10_000, topic);
        await settle(topic);
      }
      await leave(source);
      await settle(topic);
      await clock.advance(DAY_MS, topic);
      expect(await stored(topic)).toEqual(NOTHING);
    },
  );

  test("a history that is shortened is forgotten in its new time, though nothing is published", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const first = await open(topic, publisher({ graceSeconds: 0, historySeconds: 30 * 86_400 }));
    first.send("x");
    await clock.advance(1000, topic);
    await leave(first);
    await settle(topic);
    await open(topic, publisher({ historySeconds: 60 }));
    await settle(topic);
    await clock.advance(HOUR_MS, topic);
    expect(await countRows(topic)).toBe(0);
  });
});

describe("an alarm that the runtime has given up is set again", () => {
  test("a grace ends", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const reader = await open(topic, subscriber({ publishers: "shared" }));
    const source = await open(topic, publisher());
    await leave(source);
    await loseAlarm(topic);
    await expectReached("alarm-lost", () => clock.advance(11_000, topic));
    expect(await reader.next()).toEqual({ code: 1000, reason: "topic-ended" });
  });

  test("the log of a topic that is over goes", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher({ publishers: "shared", historyMessages: 10 }));
    source.send("x");
    await clock.advance(1000, topic);
    await leave(source);
    await loseAlarm(topic);
    await clock.advance(2 * DAY_MS, topic);
    expect(await stored(topic)).toEqual(NOTHING);
  });

  test("messages go by their age while their publisher is there", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher({ historySeconds: 100 }));
    source.send("x");
    await clock.advance(1000, topic);
    await loseAlarm(topic);
    expect(await clock.advance(HOUR_MS, topic)).toMatchObject([{ error: null }]);
    expect((await stored(topic)).alarmMs).toBeNull();
  });

  test("a token ends", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    await open(topic, publisher());
    const grant = tokenGrant(clock.nowMs + 5000);
    const reader = await open(topic, subscriber(null, { grant }));
    await loseAlarm(topic);
    await clock.advance(5000, topic);
    expect(await reader.next()).toEqual({ code: 4401, reason: "token-expired" });
  });

  test("a domain that was out of reach is told", async () => {
    using clock = new Clock();
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const fault = failNextCall(domain, { method: "enter", times: Infinity });
    await open(topic, publisher({}, { grant: keyGrant() }));
    await atRest();
    fault.stop();
    await loseAlarm(topic);
    expect((await stored(topic)).keys).toContain("unregistered");
    await clock.advance(10_000, topic);
    await atRest();
    expect((await stored(topic)).keys).not.toContain("unregistered");
  });
});

describe("the alarm costs little", () => {
  test.each([
    [-5, 1],
    [8e15, Date.UTC(2100, 0)],
  ])("%d, which the runtime would not take, is set once as %d", (dueAtMs, atMs) =>
    runInDurableObject(freshTopic(), (_, ctx) => {
      const times: (number | Date)[] = [];
      Object.defineProperty(ctx.storage, "setAlarm", {
        value: (time: number | Date) => {
          times.push(time);
          return Promise.resolve();
        },
      });
      const alarm = new Alarm(ctx, () => dueAtMs);
      alarm.clear();
      return expectReached("alarm-clamped", () => {
        alarm.rearm();
        alarm.rearm();
        expect(times).toEqual([atMs]);
      });
    }),
  );

  test("no message sets it", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher({ historyMessages: 2, historySeconds: 3600 }));
    const reader = await open(topic, subscriber());
    let count = 0;
    await runInDurableObject(topic, (_, { storage }) => {
      const setAlarm = storage.setAlarm.bind(storage);
      Object.defineProperty(storage, "setAlarm", {
        value: (...args: Parameters<typeof setAlarm>) => {
          count += 1;
          return setAlarm(...args);
        },
      });
    });
    // Each overwrites the oldest row, so that the next one to expire is another one each time.
    for (let n = 1; n <= 6; n++) {
      source.send("x");
      await reader.next();
      await clock.advance(1000, topic);
    }
    expect(count).toBe(1);
  });

  test("while a reader holds what is too old it does not fire again and again", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const policy = { historySeconds: 100, maxBacklogBytes: 1024 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    for (let n = 1; n <= 40; n++) {
      source.send(formatPublish({ id: `${n}`, messages: [LARGE] }));
    }
    for (let n = 1; n <= 40; n++) expect(await source.next()).toContain('"ack"');
    await evict(topic);
    const reader = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
    // It acknowledges nothing of what it gets, and is closed when that has gone on for ten seconds.
    const { cursor } = JSON.parse((await reader.next()) as string) as { cursor: string };
    reader.send(formatSubscriberAck(cursor));
    await atRest();
    // Once while the reader holds it; and again where the reader is closed before that is over.
    expect((await clock.advance(HOUR_MS, topic)).length).toBeLessThanOrEqual(2);
    let last = await reader.next();
    while (typeof last === "string") last = await reader.next();
    expect(last).toEqual({ code: 4408, reason: "slow-consumer" });
    // When the replay has noticed that nobody is left.
    while ((await stored(topic)).alarmMs === null && (await countRows(topic)) > 0) await atRest();
    await clock.advance(HOUR_MS, topic);
    expect(await countRows(topic)).toBe(0);
  });
});
