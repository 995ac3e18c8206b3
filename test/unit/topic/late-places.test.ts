/** What a member carries for its topic when its leaving wakes the object, and places that another version left. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, onTestFinished, test } from "vitest";
import { NAME_HEADER, type Admission } from "../../../src/core/admission.ts";
import { readAttachment, writeAttachment } from "../../../src/topic/attachment.ts";
import type { LogPosition } from "../../../src/topic/log-meta.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { failNextWrite } from "../../support-in-workerd/faults.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import {
  answerOf,
  ask,
  hubSockets,
  open,
  publisher,
  subscriber,
  upgradeRequest,
  type Client,
} from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const SHARED = { publishers: "shared" } as const;
const STREAM = { protocol: "stream" } as const;

interface Frame {
  readonly type: string;
  readonly cursor: string;
  readonly messages?: readonly string[];
}

async function frame(client: Client): Promise<Frame> {
  const received = await client.next();
  if (typeof received !== "string") throw new Error(`Not a text: ${JSON.stringify(received)}`);
  return JSON.parse(received) as Frame;
}

function publish(id: string, ...messages: string[]): string {
  return JSON.stringify({ type: "publish", id, messages });
}

async function leave(client: Client): Promise<void> {
  client.close(1000, "");
  await client.next();
  await atRest();
}

type Topics = DurableObjectStub<Topic>;

/** What the sockets of a role carry, the one that came first at first. */
function carried(topic: Topics, role: "publisher" | "subscriber"): Promise<(LogPosition | null)[]> {
  return runInDurableObject(topic, (_, ctx) =>
    hubSockets(ctx, role)
      .map((socket) => readAttachment(socket))
      .filter((attachment) => attachment?.role === "publisher" || attachment?.role === "subscriber")
      .toSorted((one, other) => (one.connectedAtMs ?? 0) - (other.connectedAtMs ?? 0))
      .map(({ log }) => log ?? null),
  );
}

/** Makes them carry something else, as another version would have left it. */
function carry(
  topic: Topics,
  role: "publisher" | "subscriber",
  logs: readonly (LogPosition | null)[],
): Promise<void> {
  return runInDurableObject(topic, (_, ctx) => {
    const known = hubSockets(ctx, role).flatMap((socket) => {
      const attachment = readAttachment(socket);
      const isMember = attachment?.role === "publisher" || attachment?.role === "subscriber";
      return isMember ? [{ socket, attachment }] : [];
    });
    known.sort(
      (one, other) => (one.attachment.connectedAtMs ?? 0) - (other.attachment.connectedAtMs ?? 0),
    );
    for (const [n, { socket, attachment }] of known.entries()) {
      const log = logs[n] ?? null;
      if (attachment.role === "publisher") writeAttachment(socket, { ...attachment, log });
      else writeAttachment(socket, { ...attachment, log });
    }
  });
}

test("9.9 a subscriber that carries the place leaves while the topic sleeps", async () => {
  const topic = freshTopic();
  const one = await open(topic, subscriber(SHARED, STREAM));
  await frame(one);
  const { cursor } = await frame(await open(topic, subscriber(SHARED, STREAM)));
  await evict(topic);
  await leave(one);
  await evict(topic);
  const back = await open(topic, subscriber(SHARED, { ...STREAM, since: cursor }));
  expect(await frame(back)).toMatchObject({ type: "open", cursor, recovered: true });
});

test.each([SHARED, {}])(
  "9.9 a publisher that carries the place leaves while the topic sleeps: %j",
  async (policy) => {
    const topic = freshTopic();
    const source = await open(topic, publisher(policy));
    const reader = await open(topic, subscriber(policy, STREAM));
    await frame(reader);
    source.send("a");
    const { cursor } = await frame(reader);
    await evict(topic);
    await leave(source);
    const back = await open(topic, subscriber(policy, { ...STREAM, since: cursor }));
    expect(await frame(back)).toMatchObject({ cursor, recovered: true });
  },
);

test("9.9 a place that turns up after the object woke for something else is stored", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher({ graceSeconds: 60 }));
  const reader = await open(topic, subscriber({}, STREAM));
  await frame(reader);
  source.send("a");
  const { cursor } = await frame(reader);
  await evict(topic);
  // It does not wait for the object to have heard of it.
  source.close(1000, "");
  await evict(topic);
  await source.next();
  await atRest();
  await evict(topic);
  const back = await open(topic, subscriber({}, { ...STREAM, since: cursor }));
  expect(await frame(back)).toMatchObject({ cursor, recovered: true });
});

test("9.1 of two carriers that the version before left the newer leaves while the topic sleeps", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const first = await open(topic, publisher(SHARED, STREAM));
  clock.set(clock.nowMs + 1);
  const second = await open(topic, publisher(SHARED, STREAM));
  first.send(publish("1", "one"));
  await frame(first);
  await evict(topic);
  const [stale] = await carried(topic, "publisher");
  first.send(publish("2", "two"));
  const two = await frame(first);
  await evict(topic);
  const newest = (await carried(topic, "publisher")).find((log) => log !== null);
  await carry(topic, "publisher", [stale ?? null, newest ?? null]);
  await evict(topic);
  await leave(second);
  first.send(publish("3", "three"));
  expect((await frame(first)).cursor).not.toBe(two.cursor);
});

test.each([{ newest: 0 }, { newest: 1 }])(
  "9.6 of the places that another version left with publishers the newest counts: %j",
  async ({ newest }) => {
    const topic = freshTopic();
    const source = await open(topic, publisher(SHARED, STREAM));
    const other = await open(topic, publisher(SHARED, STREAM));
    source.send(publish("a", "1", "2"));
    await frame(source);
    await atRest();
    const [older] = await carried(topic, "publisher");
    other.send(publish("b", "3", "4", "5"));
    const { cursor } = await frame(other);
    await atRest();
    const [newer] = await carried(topic, "publisher");
    if (!older || !newer) throw new Error("Nobody carries the place");
    await carry(topic, "publisher", newest === 0 ? [newer, older] : [older, newer]);
    await evict(topic);
    const back = await open(topic, subscriber(null, { ...STREAM, since: cursor }));
    expect(await frame(back)).toMatchObject({ type: "open", cursor, recovered: true });
    const places = await carried(topic, "publisher");
    expect(places.filter((place) => place !== null)).toHaveLength(1);
  },
);

test("9.6 what a subscriber carried before another version ran is not gone on from", async () => {
  const topic = freshTopic();
  const reader = await open(topic, subscriber(SHARED, STREAM));
  await frame(reader);
  const source = await open(topic, publisher(SHARED, STREAM));
  source.send(publish("a", "1", "2", "3", "4", "5"));
  const { cursor } = await frame(source);
  await leave(source);
  const before = await carried(topic, "subscriber");
  expect(before).toEqual([expect.objectContaining({ offset: 5 })]);
  // That version does not see it, and goes on in an epoch of its own.
  await carry(topic, "subscriber", [null]);
  await evict(topic);
  const other = await open(topic, publisher(SHARED, STREAM));
  other.send(publish("b", "6", "7", "8"));
  await frame(other);
  await evict(topic);
  await carry(topic, "subscriber", before);
  await evict(topic);
  const back = await open(topic, subscriber(null, { ...STREAM, since: cursor }));
  expect(await frame(back)).toMatchObject({ recovered: false });
});

test("11.3 acks count after the epoch has changed", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const policy = { ...SHARED, historySeconds: 5 };
  const source = await open(topic, publisher(policy, STREAM));
  const reader = await open(topic, subscriber(policy, STREAM));
  const ack = (cursor: string): void => reader.send(JSON.stringify({ type: "ack", cursor }));
  ack((await frame(reader)).cursor);
  // One frame, which is not acknowledged before the epoch ends.
  source.send(publish("a", ...Array.from({ length: 100 }, () => "x")));
  await frame(source);
  await frame(reader);
  await leave(source);
  await clock.advance(60_000, topic);
  const next = await open(topic, publisher(policy, STREAM));
  for (let n = 1; n <= 12; n++) {
    next.send(publish(String(n), "y".repeat(150_000)));
    await frame(next);
    ack((await frame(reader)).cursor);
  }
});

test("9.6 a log whose time ends under a replay is kept for it", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const policy = { ...SHARED, historyMessages: 1000 };
  const source = await open(topic, publisher(policy, STREAM));
  const texts = Array.from({ length: 12 }, (_, n) => String(n).padEnd(100_000, "x"));
  for (const [n, text] of texts.entries()) {
    source.send(publish(String(n), text));
    await frame(source);
  }
  await leave(source);
  await clock.advance(86_400_000 - 1000, topic);
  let bufferedAmount = 300_000;
  const known = Object.getOwnPropertyDescriptor(WebSocket.prototype, "bufferedAmount");
  onTestFinished(() => {
    if (known !== undefined) Object.defineProperty(WebSocket.prototype, "bufferedAmount", known);
  });
  Object.defineProperty(WebSocket.prototype, "bufferedAmount", {
    configurable: true,
    get: () => bufferedAmount,
  });
  const reader = await open(topic, subscriber(policy, { ...STREAM, since: "earliest" }));
  await clock.advance(2000, topic);
  bufferedAmount = 0;
  const received: string[] = [];
  await frame(reader);
  while (received.length < texts.length) received.push(...((await frame(reader)).messages ?? []));
  expect(received).toEqual(texts);
});

test("9.2 where history cannot be switched on nothing has changed, and it is at the next time", async () => {
  const policy = { historyMessages: 100 };
  const topic = freshTopic();
  failNextWrite(topic, { method: "kv.put", matching: "log" });
  await ask(topic, publisher(policy)).catch(() => {});
  const source = await open(freshStub(topic), publisher(policy, STREAM));
  source.send(publish("a", "a"));
  expect(await frame(source)).toMatchObject({ type: "ack" });
  await evict(freshStub(topic));
  const successor = await open(freshStub(topic), publisher(policy, { ...STREAM, takeover: true }));
  successor.send(publish("b", "b"));
  expect(await frame(successor)).toMatchObject({ type: "ack", id: "b" });
  const reader = await open(freshStub(topic), subscriber(null, { since: "earliest" }));
  expect(await reader.take(2)).toEqual(["a", "b"]);
});

test("5.2 a first publisher whose address cannot be stored leaves no life behind", async () => {
  const name = `test/${crypto.randomUUID()}${"x".repeat(1100)}`;
  const topic = env.TOPIC.getByName(name);
  const request = (admission: Admission): Request => {
    const made = upgradeRequest(admission);
    made.headers.set(NAME_HEADER, encodeURIComponent(name));
    return made;
  };
  failNextWrite(topic, { method: "kv.put", matching: "name" });
  await topic.fetch(request(publisher())).catch(() => {});
  await evict(topic);
  expect(await answerOf(topic.fetch(request(subscriber({}))))).toBe("topic-not-live");
});
