/** What other versions of the hub, or nobody, may have written into a socket's attachment: no wake fails over it. */
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Topic } from "../../../src/topic/topic.ts";
import { open, publisher, subscriber, type Client, hubSockets } from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const role = fc.constantFrom("publisher", "subscriber", "dismissed", "relay");
const number = fc.oneof(fc.integer(), fc.constantFrom(NaN, Infinity, -1, 2 ** 53));

/** Shapes that look like ours and are wrong somewhere, and anything else that survives structured clone. */
const foreign = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      v: fc.constantFrom(0, 3, "1"),
      role,
      heartbeatSeconds: fc.option(number),
      connectedAtMs: number,
    },
    { requiredKeys: ["v"] },
  ),
  fc.record({
    v: fc.constant(1),
    role: fc.constant("publisher"),
    heartbeatSeconds: fc.constantFrom("5", {}, []),
    connectedAtMs: number,
  }),
  fc.record({
    v: fc.constant(1),
    role: fc.constant("subscriber"),
    grant: fc.constantFrom(1, "key", {}, { keyId: "1", expiresAtMs: null, checkedAtMs: 0 }),
  }),
  fc.record({ v: fc.constant(1), role: fc.constantFrom("relay", "", null, 1) }),
);

test("8.1 a socket that cannot be placed is told to come back, and the others notice nothing", async () => {
  await fc.assert(
    fc.asyncProperty(foreign, async (attachment) => {
      const topic = freshTopic();
      const source = await open(topic, publisher());
      const stranger = await open(topic, subscriber());
      await runInDurableObject(topic, (_, ctx) => {
        for (const socket of hubSockets(ctx, "subscriber")) socket.serializeAttachment(attachment);
      });
      const reader = await open(topic, subscriber());
      await evict(topic);
      source.send("as ever");
      expect(await reader.next()).toBe("as ever");
      expect(await stranger.next()).toEqual({ code: 1012, reason: "service-restart" });
    }),
    { numRuns: 40 },
  );
});

test("what this version writes is read back, with a far end and a key of any number", async () => {
  const topic = freshTopic();
  const farMs = Date.UTC(2099, 11, 31);
  const grant = {
    keyId: 2_147_483_647,
    subject: null,
    expiresAtMs: farMs,
    checkedAtMs: Date.now(),
  };
  const source = await open(topic, publisher({}, { grant }));
  const reader = await open(topic, subscriber(null, { grant }));
  await evict(topic);
  source.send("as ever");
  expect(await reader.next()).toBe("as ever");
});

const RESTART = { code: 1012, reason: "service-restart" };

/** By their key strangers are found again. */
const STRANGERS = {
  grant: { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: Date.now() },
};

/** A shared topic with a publisher and a subscriber, and a stranger of each role. */
async function crowd(): Promise<{
  topic: DurableObjectStub<Topic>;
  source: Client;
  reader: Client;
  strangers: [publisher: Client, subscriber: Client];
}> {
  const topic = freshTopic();
  const shared = { publishers: "shared" } as const;
  return {
    topic,
    source: await open(topic, publisher(shared)),
    reader: await open(topic, subscriber()),
    strangers: [
      await open(topic, publisher(shared, STRANGERS)),
      await open(topic, subscriber(null, STRANGERS)),
    ],
  };
}

/** Rewrites the strangers' attachments, and lets all sockets hibernate. */
async function rewrite(topic: DurableObjectStub<Topic>, attachment: unknown): Promise<void> {
  const rewritten = await runInDurableObject(topic, (_, ctx) => {
    const strangers = ctx
      .getWebSockets()
      .filter((socket) => socket.deserializeAttachment().grant?.keyId === STRANGERS.grant.keyId);
    for (const socket of strangers) socket.serializeAttachment(attachment);
    return strangers.length;
  });
  expect(rewritten).toBe(2);
  await evict(topic);
}

test("8.1 whatever structured clone takes, on a publisher as on a subscriber", async () => {
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    maxKeys: 5,
    maxDepth: 3,
  });
  await fc.assert(
    fc.asyncProperty(anything, async (attachment) => {
      const { topic, source, reader, strangers } = await crowd();
      await rewrite(topic, attachment);
      source.send("as ever");
      expect(await reader.next()).toBe("as ever");
      for (const stranger of strangers) expect(await stranger.next()).toEqual(RESTART);
      expect(await topic.describe()).toEqual({ phase: "live", publishers: 1, subscribers: 1 });
    }),
    { numRuns: 40 },
  );
});

test("8.1 numbers that nobody would write are no failure of the wake, nor of the next alarm", async () => {
  const odd = fc.oneof(
    fc.double({ noNaN: true }),
    fc.constantFrom(0, -1, 2 ** 53, 1e300, Infinity, -Infinity),
  );
  // Later ends the runtime takes for no alarm, and the edge for none at all.
  const end = fc.double({ noNaN: true, max: Date.UTC(2100, 0) });
  const grant = fc.option(
    fc.record({ keyId: fc.option(fc.integer()), expiresAtMs: fc.option(end), checkedAtMs: odd }),
  );
  const attachment = fc.oneof(
    fc.record({
      v: fc.constant(1),
      role: fc.constant("publisher"),
      protocol: fc.constantFrom("raw", "stream"),
      heartbeatSeconds: fc.option(odd),
      connectedAtMs: odd,
      grant,
    }),
    fc.record({
      v: fc.constant(1),
      role: fc.constant("subscriber"),
      behind: fc.option(fc.constantFrom("", "zzzzzzzzzzzz-9999999999999", "000000000000-0", "x-1")),
      gap: fc.constantFrom("skip", "close"),
      grant,
    }),
  );
  await fc.assert(
    fc.asyncProperty(attachment, async (written) => {
      const { topic, source, reader } = await crowd();
      await rewrite(topic, written);
      source.send("as ever");
      expect(await reader.next()).toBe("as ever");
      await runInDurableObject(topic, async (instance) => instance.alarm());
      await evict(topic);
      source.send("still");
      expect(await reader.next()).toBe("still");
    }),
    { numRuns: 40 },
  );
});

test("what version 0.1 dismissed stays dismissed: counted nowhere, heard by nobody", async () => {
  const { topic, source, reader, strangers } = await crowd();
  await rewrite(topic, { v: 1, role: "dismissed" });
  strangers[0].send("fenced out");
  source.send("as ever");
  expect(await reader.next()).toBe("as ever");
  expect(await topic.describe()).toEqual({ phase: "live", publishers: 1, subscribers: 1 });
});

test("5.2 an exclusive topic whose publisher cannot be placed is in grace, and its subscribers stay", async () => {
  const topic = freshTopic();
  const lost = await open(topic, publisher());
  const reader = await open(topic, subscriber());
  await runInDurableObject(topic, (_, ctx) => {
    for (const socket of hubSockets(ctx, "publisher")) socket.serializeAttachment({ v: 2 });
  });
  await evict(topic);
  expect(await topic.describe()).toEqual({ phase: "grace", publishers: 0, subscribers: 1 });
  expect(await lost.next()).toEqual(RESTART);
  const successor = await open(topic, publisher());
  successor.send("go on");
  expect(await reader.next()).toBe("go on");
});
