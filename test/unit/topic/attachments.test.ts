/** What other versions of the hub, or nobody, may have written into a socket's attachment: no wake fails over it. */
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { open, publisher, subscriber } from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const role = fc.constantFrom("publisher", "subscriber", "dismissed", "relay");
const number = fc.oneof(fc.integer(), fc.constantFrom(NaN, Infinity, -1, 2 ** 53));

/** Shapes that look like ours and are wrong somewhere, and anything else that survives structured clone. */
const foreign = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      v: fc.constantFrom(0, 2, "1"),
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
        for (const socket of ctx.getWebSockets("subscriber"))
          socket.serializeAttachment(attachment);
      });
      const reader = await open(topic, subscriber());
      await evict(topic);
      source.send("as ever");
      expect(await reader.next()).toBe("as ever");
      expect(await stranger.next()).toEqual({ code: 1012, reason: "service-restart" });
    }),
    { numRuns: 60 },
  );
});

test("what this version writes is read back, with a far end and a key of any number", async () => {
  const topic = freshTopic();
  const farMs = Date.UTC(2099, 11, 31);
  const grant = { keyId: 2_147_483_647, expiresAtMs: farMs, checkedAtMs: Date.now() };
  const source = await open(topic, publisher({}, { grant }));
  const reader = await open(topic, subscriber(null, { grant }));
  await evict(topic);
  source.send("as ever");
  expect(await reader.next()).toBe("as ever");
});
