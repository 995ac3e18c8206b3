/**
 * What fails on a message's way is never silent: a loop that stops cuts the sockets, which come back by cursor; a row
 * that cannot be read is one reader's gap. The log says either.
 */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { formatPublish } from "../../../src/core/client-frame.ts";
import { parseCursor } from "../../../src/core/cursor.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { failNextRead, failNextWrite } from "../../support-in-workerd/faults.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const HISTORY = { historyMessages: 1000 };

let events: Record<string, unknown>[] = [];

beforeEach(() => {
  events = [];
  vi.spyOn(console, "error").mockImplementation((text: string) => {
    events.push(JSON.parse(text) as Record<string, unknown>);
  });
});
afterEach(() => vi.restoreAllMocks());

interface Frame {
  readonly type: string;
  readonly cursor?: string;
  readonly from?: string;
  readonly to?: string;
  readonly messages?: string[];
}

async function nextFrame(client: Client): Promise<Frame> {
  return JSON.parse((await client.next()) as string) as Frame;
}

/** A topic whose log has a row for each of these messages, in storage alone, and a subscriber from before. */
async function stored(
  ...messages: string[]
): Promise<{ topic: DurableObjectStub<Topic>; source: Client; live: Client }> {
  const topic = freshTopic();
  const source = await open(topic, publisher(HISTORY, { protocol: "stream" }));
  const live = await open(topic, subscriber());
  for (const message of messages) {
    await publish(source, message);
    expect(await live.next()).toBe(message);
  }
  await evict(topic);
  return { topic, source, live };
}

async function publish(source: Client, message: string): Promise<void> {
  const id = message.charAt(0);
  source.send(formatPublish({ id, messages: [message] }));
  expect(await nextFrame(source)).toMatchObject({ type: "ack", id });
}

/** Changes a topic's rows behind its back; each row of these tests has one message. */
function damage(topic: DurableObjectStub<Topic>, query: string): Promise<void> {
  return runInDurableObject(topic, (_, { storage }) => {
    expect(storage.sql.exec(query).rowsWritten).toBeGreaterThan(0);
  });
}

/** What a reader is told, from its `open` on, up to and with a message. */
async function readUpTo(reader: Client, message: string): Promise<(string | [number, number])[]> {
  const told: (string | [number, number])[] = [];
  expect(await nextFrame(reader)).toMatchObject({ type: "open" });
  while (told.at(-1) !== message) {
    const frame = await nextFrame(reader);
    if (frame.type === "gap") told.push([offsetOf(frame.from), offsetOf(frame.to)]);
    else told.push(...(frame.messages ?? []));
  }
  return told;
}

function offsetOf(cursor: string | undefined): number {
  return parseCursor(cursor ?? "")?.offset ?? -1;
}

const SECOND = "id / 512 = 2";

describe("a row that cannot be read", () => {
  test.each([
    ["no JSON", `update log set list = '["b' where ${SECOND}`],
    ["JSON that is no list", `update log set list = '{}' where ${SECOND}`],
    ["no message that there is", `update log set list = '[7]' where ${SECOND}`],
    ["too few messages", `update log set list = '[]' where ${SECOND}`],
    ["too many messages", `update log set list = '["b","b"]' where ${SECOND}`],
    ["not there", `delete from log where ${SECOND}`],
    ["without its first part", `update log set id = id + 1 where ${SECOND}`],
  ])("%s: is a gap, told to its reader alone", async (_, query) => {
    const { topic, source, live } = await stored("a", "b", "c");
    await damage(topic, query);
    const reader = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
    expect(await readUpTo(reader, "c")).toEqual(["a", [1, 2], "c"]);
    await publish(source, "d");
    expect(await live.next()).toBe("d");
    expect(await nextFrame(reader)).toMatchObject({ type: "messages", messages: ["d"] });
  });

  test("the last one: whoever reads goes on with the next message", async () => {
    const { topic, source } = await stored("a", "b");
    await damage(topic, `update log set list = 'x' where ${SECOND}`);
    const reader = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
    await publish(source, "c");
    expect(await readUpTo(reader, "c")).toEqual(["a", [1, 2], "c"]);
  });

  test("the log says how many messages were lost", () =>
    expectReached("row-missing", async () => {
      const { topic } = await stored("a", "b", "c", "d");
      await damage(topic, "delete from log where id / 512 in (2, 3)");
      const reader = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
      expect(await readUpTo(reader, "d")).toEqual(["a", [1, 3], "d"]);
      expect(events).toEqual([{ level: "error", event: "log-unreadable", messages: 2 }]);
    }));

  test("a raw reader passes over it", async () => {
    const { topic } = await stored("a", "b", "c");
    await damage(topic, `update log set list = 'x' where ${SECOND}`);
    const reader = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await reader.take(2)).toEqual(["a", "c"]);
  });

  test("a reader that asked for it is closed with 4510", async () => {
    const { topic } = await stored("a", "b", "c");
    await damage(topic, `update log set list = 'x' where ${SECOND}`);
    const reader = await open(topic, subscriber(null, { since: "earliest", gap: "close" }));
    expect(await reader.take(2)).toEqual(["a", { code: 4510, reason: "history-gap" }]);
  });

  test("storage that does not answer: a gap up to the present", async () => {
    const { topic, source, live } = await stored("a", "b");
    failNextRead(topic, { method: "sql.exec", matching: "max(id)" });
    const reader = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
    await publish(source, "c");
    expect(await live.next()).toBe("c");
    expect(await readUpTo(reader, "c")).toEqual([[0, 2], "c"]);
  });
});

describe("a loop that stops", () => {
  test("the log cannot be written: no ack, and the topic begins anew", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher(HISTORY, { protocol: "stream" }));
    const live = await open(topic, subscriber());
    await publish(source, "a");
    expect(await live.next()).toBe("a");
    failNextWrite(topic, { method: "sql.exec", matching: "insert into log" });
    source.send(formatPublish({ id: "b", messages: ["b"] }));
    expect(await Promise.all([source.next(), live.next()])).toEqual([
      expect.objectContaining({ code: 1006 }),
      expect.objectContaining({ code: 1006 }),
    ]);
    expect(events).toEqual([expect.objectContaining({ event: "log-failed" })]);
    const anew = freshStub(topic);
    const again = await open(anew, publisher(HISTORY, { protocol: "stream" }));
    await publish(again, "b");
    const reader = await open(anew, subscriber(null, { since: "earliest" }));
    expect(await reader.take(2)).toEqual(["a", "b"]);
  });

  test.each(["unregistered", "state", "log"])(
    "10.7 what is stored (%s) cannot be read on waking: the frame that woke is not passed over",
    async (key) => {
      const topic = freshTopic();
      const source = await open(topic, publisher(HISTORY, { protocol: "stream" }));
      await publish(source, "a");
      await evict(topic);
      const error = new Error(`disk I/O error: SQLITE_IOERR (${key})`);
      failNextRead(topic, { method: "kv.get", matching: key, error });
      for (const id of ["b", "c"]) source.send(formatPublish({ id, messages: [id] }));
      expect(await source.next()).toMatchObject({ code: 1006 });
      expect(events).toEqual([expect.objectContaining({ event: "log-failed" })]);
      const reader = await open(freshStub(topic), subscriber(null, { since: "earliest" }));
      const again = await open(freshStub(topic), publisher(HISTORY, { protocol: "stream" }));
      await publish(again, "b");
      expect(await reader.take(2)).toEqual(["a", "b"]);
    },
  );

  test("the fan-out's: its sockets are cut", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const live = await open(topic, subscriber());
    // What the fan-out stores when all is out and the publisher has left.
    failNextWrite(topic, { method: "kv.put", matching: "log" });
    source.send("a");
    source.close();
    expect(await live.take(2)).toEqual(["a", expect.objectContaining({ code: 1006 })]);
    expect(events).toEqual([expect.objectContaining({ event: "delivery-failed" })]);
  });

  test("the replay's: its sockets are cut", async () => {
    const { topic, source, live } = await stored();
    const message = "x".repeat(128 * 1024);
    for (let n = 1; n <= 40; n++) {
      source.send(formatPublish({ id: `${n}`, messages: [message] }));
    }
    for (let n = 1; n <= 40; n++) expect(await nextFrame(source)).toMatchObject({ type: "ack" });
    expect(new Set(await live.take(40))).toEqual(new Set([message]));
    await evict(topic);
    const reader = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await reader.next()).toBe(message);
    // Where the replay writes how far it has come.
    vi.spyOn(WebSocket.prototype, "serializeAttachment").mockImplementation(() => {
      throw new Error("No room");
    });
    let last = await reader.next();
    while (typeof last === "string") last = await reader.next();
    expect([last, await live.next()]).toEqual([
      expect.objectContaining({ code: 1006 }),
      expect.objectContaining({ code: 1006 }),
    ]);
    expect(events).toEqual([{ level: "error", event: "delivery-failed", reason: "No room" }]);
  });
});
