/**
 * PROTOCOL.md, 10.7 to 10.11, on the object itself: whose an id is, what it stands for, what may follow what, and how
 * much one socket may have under way.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { formatPublish, type PublishFrame } from "../../../src/core/client-frame.ts";
import { parseCursor } from "../../../src/core/cursor.ts";
import type { Grant } from "../../../src/core/grant.ts";
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import type { Policy } from "../../../src/core/policy.ts";
import { readAttachment, writeAttachment } from "../../../src/topic/attachment.ts";
import { loadLogMeta } from "../../../src/topic/log-meta.ts";
import { Log } from "../../../src/topic/log.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { hubSockets, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { crash, evict, freshTopic, wake } from "../support/topics.ts";

const SHARED: Partial<Policy> = { publishers: "shared", tokenPublishers: true };

function openPublisher(
  topic: DurableObjectStub<Topic>,
  grant: Grant = keyGrant(),
  policy: Partial<Policy> = SHARED,
): Promise<Client> {
  return open(topic, publisher(policy, { protocol: "stream", grant }));
}

/** The next answer: the offset of an ack, or the slug of an error. */
async function nextAnswer(client: Client): Promise<{ id: string | null; at: number | string }> {
  const received = await client.next();
  const frame = typeof received === "string" ? parseHubFrame(received) : null;
  if (frame?.ok !== true) throw new Error(`Not a frame: ${JSON.stringify(received)}`);
  const { value } = frame;
  if (value.type === "ack") return { id: value.id, at: parseCursor(value.cursor)?.offset ?? 0 };
  if (value.type !== "error") throw new Error(`Not an answer: ${value.type}`);
  return { id: value.id, at: value.problem.type.replace("urn:wspubsub:problem:", "") };
}

/** What becomes of a publish. */
async function publish(client: Client, frame: PublishFrame): Promise<number | string> {
  client.send(formatPublish(frame));
  const { id, at } = await nextAnswer(client);
  expect(id).toBe(frame.id);
  return at;
}

/** Sends frames that the object takes without an await in between; the answers, in their order. */
async function publishAtOnce(
  topic: DurableObjectStub<Topic>,
  client: Client,
  frames: readonly PublishFrame[],
): Promise<{ id: string | null; at: number | string }[]> {
  await runInDurableObject(topic, (instance, ctx) => {
    const [socket] = hubSockets(ctx, "publisher");
    if (socket === undefined) throw new Error("There is no publisher");
    for (const frame of frames) instance.webSocketMessage(socket, formatPublish(frame));
  });
  const answers: { id: string | null; at: number | string }[] = [];
  while (answers.length < frames.length) answers.push(await nextAnswer(client));
  return answers;
}

function idOf(n: number): string {
  return `id-${n}`;
}

describe.each([
  { name: "without history, awake", history: {}, settle: wake },
  { name: "without history, evicted between steps", history: {}, settle: evict },
  { name: "with history, awake", history: { historyMessages: 1000 }, settle: wake },
  {
    name: "with history, evicted between steps",
    history: { historyMessages: 1000 },
    settle: evict,
  },
])("ids, $name", ({ history, settle }) => {
  const policy = { ...SHARED, ...history };

  test("10.9 count by key and subject: nobody's publish is taken for another one's", async () => {
    const topic = freshTopic();
    const grants = [
      keyGrant({ keyId: 1 }),
      keyGrant({ keyId: 2 }),
      tokenGrant(Date.now() + 3_600_000, { subject: "1" }),
      tokenGrant(Date.now() + 3_600_000, { subject: "2" }),
    ];
    const sources: Client[] = [];
    for (const grant of grants) sources.push(await openPublisher(topic, grant, policy));
    const raw = await open(topic, subscriber());
    for (const [n, source] of sources.entries()) {
      await settle(topic);
      expect(await publish(source, { id: "1", messages: [`by ${n}`] })).toBe(n + 1);
    }
    for (const [n, source] of sources.entries()) {
      await settle(topic);
      expect(await publish(source, { id: "1", messages: [`by ${n}`] })).toBe(n + 1);
      expect(await publish(source, { id: "1", messages: ["by 9"] })).toBe("id-reused");
    }
    expect(await raw.take(4)).toEqual(["by 0", "by 1", "by 2", "by 3"]);
  });

  test("10.9 10.11 the same id with other content is refused, and the socket stays", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, keyGrant(), policy);
    const raw = await open(topic, subscriber());
    expect(await publish(source, { id: "1", messages: ["a", "b"] })).toBe(2);
    await settle(topic);
    const bytes = new Uint8Array([98]).buffer;
    for (const messages of [["a"], ["b", "a"], ["a", "b", ""], ["ab"], ["a", bytes]]) {
      expect(await publish(source, { id: "1", messages })).toBe("id-reused");
    }
    // Another socket of the same key.
    const other = await openPublisher(topic, keyGrant(), policy);
    await settle(topic);
    expect(await publish(other, { id: "1", messages: ["c"] })).toBe("id-reused");
    expect(await publish(other, { id: "1", messages: ["a", "b"] })).toBe(2);
    expect(await publish(source, { id: "2", messages: ["c"] })).toBe(3);
    expect(await raw.take(3)).toEqual(["a", "b", "c"]);
  });

  test("10.7 10.11 nothing is published that would overtake what was not", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, keyGrant(), { ...policy, maxMessageBytes: 10 });
    const raw = await open(topic, subscriber());
    expect(await publish(source, { id: "1", messages: ["1"] })).toBe(1);
    await settle(topic);
    expect(await publish(source, { id: "2", after: "1", messages: ["2"] })).toBe(2);
    const frames = [
      { id: "3", after: "2", messages: ["much too large"] },
      { id: "4", after: "3", messages: ["4"] },
      { id: "5", after: "4", messages: ["5"] },
    ];
    for (const frame of frames) source.send(formatPublish(frame));
    expect((await nextAnswer(source)).at).toBe("message-too-large");
    expect(await nextAnswer(source)).toEqual({ id: "4", at: "out-of-order" });
    expect(await nextAnswer(source)).toEqual({ id: "5", at: "out-of-order" });
    await settle(topic);
    expect(await publish(source, { id: "3", after: "2", messages: ["3"] })).toBe(3);
    expect(await publish(source, { id: "4", after: "3", messages: ["4"] })).toBe(4);
    // What is known is acknowledged, whatever it follows.
    expect(await publish(source, { id: "4", after: "never", messages: ["4"] })).toBe(4);
    expect(await publish(source, { id: "6", after: "6", messages: ["6"] })).toBe("out-of-order");
    expect(await raw.take(4)).toEqual(["1", "2", "3", "4"]);
  });

  test("10.7 what it follows is one's own", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, keyGrant({ keyId: 1 }), policy);
    const other = await openPublisher(topic, keyGrant({ keyId: 2 }), policy);
    expect(await publish(source, { id: "1", messages: ["1"] })).toBe(1);
    await settle(topic);
    expect(await publish(other, { id: "2", after: "1", messages: ["2"] })).toBe("out-of-order");
    expect(await publish(source, { id: "2", after: "1", messages: ["2"] })).toBe(2);
  });
});

describe("what is under way", () => {
  test("10.8 10.9 is known, and answers come in the order of their frames", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, keyGrant(), { ...SHARED, maxMessageBytes: 10 });
    const raw = await open(topic, subscriber());
    const answers = await publishAtOnce(topic, source, [
      { id: "1", messages: ["1"] },
      { id: "2", after: "1", messages: ["2"] },
      { id: "2", messages: ["other"] },
      { id: "3", after: "2", messages: ["much too large"] },
      { id: "4", after: "3", messages: ["4"] },
      { id: "2", after: "never", messages: ["2"] },
      { id: "5", after: "2", messages: ["5"] },
    ]);
    expect(answers).toEqual([
      { id: "1", at: 1 },
      { id: "2", at: 2 },
      { id: "2", at: "id-reused" },
      { id: "3", at: "message-too-large" },
      { id: "4", at: "out-of-order" },
      { id: "2", at: 2 },
      { id: "5", at: 3 },
    ]);
    expect(await raw.take(3)).toEqual(["1", "2", "5"]);
  });

  test("10.9 is the owner's own, in the same turn as well", async () => {
    const topic = freshTopic();
    const keys = [keyGrant({ keyId: 1 }), keyGrant({ keyId: 2 })];
    const sources: Client[] = [];
    for (const grant of keys) sources.push(await openPublisher(topic, grant));
    const raw = await open(topic, subscriber());
    await runInDurableObject(topic, (instance, ctx) => {
      // The first batch goes at once, and the others wait.
      for (const id of ["1", "2", "3"]) {
        for (const [n, socket] of hubSockets(ctx, "publisher").entries()) {
          instance.webSocketMessage(socket, formatPublish({ id, messages: [`${id} of ${n}`] }));
        }
      }
    });
    const offsets: (number | string)[] = [];
    for (const source of sources) {
      for (const id of ["1", "2", "3"]) {
        const answer = await nextAnswer(source);
        expect(answer.id).toBe(id);
        offsets.push(answer.at);
      }
    }
    // The runtime says in no order who is here.
    expect(new Set(offsets)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const sent = ["1 of 0", "1 of 1", "2 of 0", "2 of 1", "3 of 0", "3 of 1"];
    expect(await raw.take(6)).toEqual(sent);
  });

  test("10.9 is known until its own ack, whatever of its owner is acknowledged before", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    const raw = await open(topic, subscriber());
    // Too much for one batch: the second waits for the round of the first.
    const large = "x".repeat(400 * 1024);
    const frame = (id: string): string => formatPublish({ id, messages: [`${id} ${large}`] });
    await runInDurableObject(topic, (instance, ctx) => {
      const [socket] = hubSockets(ctx, "publisher");
      if (socket === undefined) throw new Error("There is no publisher");
      const send = socket.send.bind(socket);
      socket.send = (text) => {
        send(text);
        if (typeof text !== "string" || !text.includes('"2"')) return;
        socket.send = send;
        // "3" is under way, and sent again.
        instance.webSocketMessage(socket, frame("3"));
      };
      for (const id of ["1", "2", "3"]) instance.webSocketMessage(socket, frame(id));
    });
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(await nextAnswer(source));
    expect(answers).toEqual([
      { id: "1", at: 1 },
      { id: "2", at: 2 },
      { id: "3", at: 3 },
      { id: "3", at: 3 },
    ]);
    await publish(source, { id: "4", messages: ["4"] });
    const sent = await raw.take(4);
    expect(sent.map((text) => (typeof text === "string" ? text[0] : null))).toEqual([
      "1",
      "2",
      "3",
      "4",
    ]);
  });

  test("10.9 is known no longer than what is in the log", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    for (let n = 0; n <= 1000; n++) await publish(source, { id: idOf(n), messages: ["x"] });
    expect(await publish(source, { id: idOf(0), messages: ["other"] })).toBe(1002);
    expect(await publish(source, { id: idOf(2), messages: ["other"] })).toBe("id-reused");
  });

  test("10.7 10.11 is at most 1,000 a socket, and what is sent again is published once", async () => {
    const topic = freshTopic();
    const policy = { ...SHARED, historyMessages: 10_000 };
    const source = await openPublisher(topic, keyGrant(), policy);
    const raw = await open(topic, subscriber());
    // One starts the round, so that the others gather.
    const frames = Array.from({ length: 1501 }, (_, n) => ({ id: idOf(n), messages: [idOf(n)] }));
    const answers = await publishAtOnce(topic, source, frames);
    const refused = answers.filter(({ at }) => at === "topic-overloaded");
    expect(refused.map(({ id }) => id)).toEqual(frames.slice(1001).map(({ id }) => id));
    // Its connection is cut, and who keeps the rule sends again what it had no answer for.
    source.close();
    const again = await openPublisher(topic, keyGrant(), policy);
    for (const frame of frames.slice(1, 1001)) again.send(formatPublish(frame));
    for (let n = 1; n <= 1000; n++)
      expect(await nextAnswer(again)).toEqual({ id: idOf(n), at: n + 1 });
    expect(await publish(again, { id: "last", messages: ["last"] })).toBe(1002);
    expect(await raw.take(1002)).toEqual([...frames.slice(0, 1001).map(({ id }) => id), "last"]);
  });

  test("10.7 is at most 1,000 a socket, also of what is refused or repeated", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    await open(topic, subscriber());
    const frames = Array.from({ length: 1502 }, (_, n) =>
      n % 2 === 0 ? { id: "1", messages: ["1"] } : { id: "2", after: "never", messages: ["2"] },
    );
    const answers = await publishAtOnce(topic, source, frames);
    const counts = Map.groupBy(answers, ({ at }) => at);
    expect(counts.get(1)).toHaveLength(501);
    expect(counts.get("out-of-order")).toHaveLength(500);
    expect(counts.get("topic-overloaded")).toHaveLength(501);
    expect(await publish(source, { id: "2", messages: ["2"] })).toBe(2);
  });
});

test("10.9 with history ids survive a crash, whoever published how much since", async () => {
  const topic = freshTopic();
  const policy = { ...SHARED, historyMessages: 5 };
  const one = await openPublisher(topic, keyGrant({ keyId: 1 }), policy);
  expect(await publish(one, { id: "1", messages: ["by one"] })).toBe(1);
  const other = await openPublisher(topic, keyGrant({ keyId: 2 }), policy);
  for (let n = 0; n < 1200; n++) other.send(formatPublish({ id: idOf(n), messages: ["x"] }));
  for (let n = 0; n < 1200; n++) await nextAnswer(other);
  await crash(topic);
  const again = await openPublisher(topic, keyGrant({ keyId: 1 }), policy);
  expect(await publish(again, { id: "1", messages: ["by one"] })).toBe(1);
  expect(await publish(again, { id: "1", messages: ["else"] })).toBe("id-reused");
});

test("10.9 asleep the last 128 are remembered, as many of each owner", async () => {
  const topic = freshTopic();
  const one = await openPublisher(topic, keyGrant({ keyId: 1 }));
  const other = await openPublisher(topic, keyGrant({ keyId: 2 }));
  for (let n = 1; n <= 64; n++)
    expect(await publish(one, { id: idOf(n), messages: ["x"] })).toBe(n);
  for (let n = 1; n <= 128; n++) await publish(other, { id: idOf(n), messages: ["x"] });
  await evict(topic);
  for (let n = 1; n <= 64; n++)
    expect(await publish(one, { id: idOf(n), messages: ["x"] })).toBe(n);
  expect(await publish(other, { id: idOf(65), messages: ["x"] })).toBe(129);
  expect(await publish(other, { id: idOf(64), messages: ["x"] })).toBe(193);
});

test("10.9 what a sleeping topic remembers fits an attachment, however long all of it is", async () => {
  const topic = freshTopic();
  const subject = "€".repeat(256);
  const grant = tokenGrant(8.64e15 + 0.5, { subject, checkedAtMs: 1.5e15 + 0.5 });
  await openPublisher(topic, grant);
  await open(topic, subscriber(null, { grant }));
  await runInDurableObject(topic, (_, ctx) => {
    const log = new Log(ctx.storage);
    log.restore({ epoch: "0".repeat(12), offset: 2 ** 53 - 1000, atMs: 1.5e15 + 0.5, ids: [] });
    for (let n = 0; n < 500; n++) {
      const name = {
        // A subject's, however long it is, and as many as are remembered.
        owner: (n % 16) - 2 ** 53,
        id: `${"~".repeat(61)}${100 + n}`,
        fingerprint: 2 ** 53 - 1,
      };
      log.append([{ messages: [""], receipt: { name, ack: () => {} } }], 1.5e15 + 0.5);
    }
    const { position } = log;
    expect(position.ids).toHaveLength(128);
    for (const socket of ctx.getWebSockets()) {
      const attachment = readAttachment(socket);
      if (attachment === null || attachment.role === "dismissed") throw new Error("Not a member");
      const longest = { country: "€€", log: position };
      const atMs = 1.5e15 + 0.5;
      // Throws beyond 16,384 bytes (platform limits).
      if (attachment.role === "publisher") {
        const times = { lookedAtMs: atMs, policyAtMs: atMs, rateFullAtMs: atMs };
        writeAttachment(socket, { ...attachment, ...longest, ...times, heartbeatSeconds: 0.5 });
      } else if (attachment.role === "subscriber")
        writeAttachment(socket, { ...attachment, ...longest, behind: "0".repeat(64) });
      expect(readAttachment(socket)).toMatchObject({ log: position });
    }
  });
});

test("10.9 an id that the version before stored is acknowledged again, whatever comes with it", async () => {
  const topic = freshTopic();
  const source = await openPublisher(topic, keyGrant(), { ...SHARED, historyMessages: 1000 });
  expect(await publish(source, { id: "first", messages: ["a"] })).toBe(1);
  await runInDurableObject(topic, (_, { storage }) => {
    const meta = loadLogMeta(storage);
    if (meta === null) throw new Error("Nothing is stored of the log");
    const { position } = meta;
    storage.kv.put("log", { ...meta, position: { ...position, ids: [["old", 1]] } });
  });
  await evict(topic);
  expect(await publish(source, { id: "old", messages: ["b"] })).toBe(1);
  expect(await publish(source, { id: "new", messages: ["c"] })).toBe(2);
});
