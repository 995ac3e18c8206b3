/** PROTOCOL.md, 15.8: who is connected to a topic, awake and after sleep. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { formatSubscriberAck } from "../../../src/core/client-frame.ts";
import type { Grant } from "../../../src/core/grant.ts";
import { open, publisher, subscriber, upgradeRequest, hubSockets } from "../support/sockets.ts";
import { evict, freshTopic } from "../support/topics.ts";

const HISTORY = { historyMessages: 100, historySeconds: 60 };

function grantOf(keyId: number | null, subject: string | null): Grant {
  return { keyId, subject, expiresAtMs: null, checkedAtMs: Date.now() };
}

describe("the sockets of a topic", () => {
  test.each([false, true])("15.8 are told by role and credential; asleep: %s", async (isAsleep) => {
    const topic = freshTopic();
    const beganAtMs = Date.now();
    await open(
      topic,
      publisher({}, { grant: grantOf(7, null), protocol: "stream", country: "AT" }),
    );
    await open(topic, subscriber(null, { grant: grantOf(null, "user-9"), country: "T1" }));
    await open(topic, subscriber(null, { protocol: "stream" }));
    if (isAsleep) await evict(topic);
    // Subscribers have no order of their own.
    const sockets = (await topic.sockets(10)).toSorted((one, other) =>
      `${one.role} ${one.protocol}`.localeCompare(`${other.role} ${other.protocol}`),
    );
    const nobody = { keyId: null, subject: null, country: null };
    const common = { connectedAtMs: expect.any(Number), waitingBytes: 0, messagesBehind: null };
    const own = { ...common, ...nobody };
    expect(sockets).toEqual([
      { ...own, role: "publisher", protocol: "stream", keyId: 7, country: "AT" },
      { ...own, role: "subscriber", protocol: "raw", subject: "user-9", country: "T1" },
      { ...own, role: "subscriber", protocol: "stream" },
    ]);
    for (const { connectedAtMs } of sockets) {
      expect(connectedAtMs).toBeGreaterThanOrEqual(beganAtMs);
      expect(connectedAtMs).toBeLessThanOrEqual(Date.now());
    }
  });

  test("15.8 are at most so many, publishers first, and no more are looked at", async () => {
    const topic = freshTopic();
    await open(topic, publisher({ publishers: "shared" }));
    for (let n = 0; n < 5; n++) await open(topic, subscriber());
    await open(topic, publisher({ publishers: "shared" }));
    expect((await topic.sockets(3)).map(({ role }) => role)).toEqual([
      "publisher",
      "publisher",
      "subscriber",
    ]);
    expect(await topic.sockets(1)).toHaveLength(1);
    expect(await topic.sockets(100)).toHaveLength(7);
    await runInDurableObject(topic, (object, ctx) => {
      let looks = 0;
      for (const socket of hubSockets(ctx, "subscriber")) {
        Object.defineProperty(socket, "bufferedAmount", {
          get: () => {
            looks += 1;
            return 0;
          },
        });
      }
      object.sockets(4);
      expect(looks).toBe(2);
    });
  });

  test("15.8 that are closed, or are gone, are not there", async () => {
    const topic = freshTopic();
    const incumbent = await open(topic, publisher());
    await open(topic, publisher({}, { takeover: true, country: "AT" }));
    expect(await incumbent.next()).toMatchObject({ code: 4509 });
    expect(await topic.sockets(10)).toMatchObject([{ role: "publisher", country: "AT" }]);
    expect(await freshTopic().sockets(10)).toEqual([]);
  });

  test("15.8 one that acknowledges is as far behind as it says", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const reader = await open(topic, subscriber(null, { protocol: "stream" }));
    const opened = await reader.next();
    const { cursor } = JSON.parse(typeof opened === "string" ? opened : "") as { cursor: string };
    const [epoch = "", begin = ""] = cursor.split("-");
    for (let n = 0; n < 3; n++) {
      source.send(`message ${n}`);
      await reader.next();
    }
    await runInDurableObject(topic, (object, ctx) => {
      const [socket] = hubSockets(ctx, "subscriber");
      if (socket === undefined) throw new Error("Nobody subscribes");
      const behind = (): unknown => object.sockets(10)[1]?.messagesBehind;
      const acknowledge = (count: number): void => {
        const place = `${epoch}-${Number(begin) + count}`;
        object.webSocketMessage(socket, formatSubscriberAck(place));
      };
      expect(behind()).toBe(null);
      acknowledge(1);
      expect(behind()).toBe(2);
      acknowledge(3);
      expect(behind()).toBe(0);
      acknowledge(99);
      expect(behind()).toBe(0);
      acknowledge(3);
    });
    source.send("12345");
    await reader.next();
    const [, report] = await topic.sockets(10);
    expect(report).toMatchObject({ messagesBehind: 1 });
    expect(report?.waitingBytes).toBeGreaterThanOrEqual(5);
  });

  test("15.8 one that is replayed to comes first, with what it has not got", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher(HISTORY));
    const reader = await open(topic, subscriber());
    for (let n = 0; n < 6; n++) {
      source.send("x".repeat(400_000));
      await reader.next();
    }
    await runInDurableObject(topic, async (object) => {
      await object.fetch(upgradeRequest(subscriber(null, { since: "earliest", country: "AT" })));
      const [first, second] = object.sockets(2);
      expect(first?.role).toBe("publisher");
      expect(second?.country).toBe("AT");
      // The beginning comes at once, the rest as it reads.
      expect(second?.messagesBehind).toBeGreaterThan(0);
      expect(second?.messagesBehind).toBeLessThan(6);
      expect(object.sockets(3)[2]).toMatchObject({ country: null, messagesBehind: null });
    });
  });

  test("15.8 what a version before accepted has no beginning and no country", async () => {
    const topic = freshTopic();
    await open(topic, publisher());
    await open(topic, subscriber(null, { country: "AT" }));
    await runInDurableObject(topic, (_, ctx) => {
      for (const socket of hubSockets(ctx, "subscriber")) {
        socket.serializeAttachment({ v: 1, role: "subscriber", protocol: "raw", grant: null });
      }
    });
    await evict(topic);
    expect((await topic.sockets(10))[1]).toMatchObject({ connectedAtMs: null, country: null });
  });
});
