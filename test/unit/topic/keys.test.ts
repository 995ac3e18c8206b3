/**
 * PROTOCOL.md, 12.7 to 12.9 and 13.6: what keys and tokens that end do to a topic's sockets. Every test runs
 * twice, the second time with topic and domain evicted between its steps.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { NAME_HEADER } from "../../../src/core/admission.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import {
  answerOf,
  ask,
  Client,
  open,
  publisher,
  subscriber,
  upgradeRequest,
  hubSockets,
} from "../support/sockets.ts";
import { crash, evict, freshDomain, wake } from "../support/topics.ts";

const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const TOKEN_EXPIRED = { code: 4401, reason: "token-expired" };
const DEAD = { type: "dead" } as const;

function alarmOf(topic: DurableObjectStub<Topic>): Promise<number | null> {
  return runInDurableObject(topic, (_, { storage }) => storage.getAlarm());
}

/** Lets the alarm fire at a time, whenever it is set to. */
async function fireAt(topic: DurableObjectStub<Topic>, nowMs: number): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
  try {
    await runDurableObjectAlarm(topic);
  } finally {
    vi.useRealTimers();
  }
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("keys on a topic, $name", ({ settle }) => {
  test("12.7 a key that dies closes its publisher and its subscribers, and nobody else", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const kicked = await open(topic, publisher({ publishers: "shared" }, { grant: keyGrant() }));
    const stays = await open(
      topic,
      publisher({ publishers: "shared" }, { grant: keyGrant({ keyId: 2 }) }),
    );
    const byKey = await open(topic, subscriber(null, { grant: keyGrant() }));
    const anyone = await open(topic, subscriber());
    await settle(topic);
    await settle(domain);
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 2, told: 1 });
    expect(await kicked.next()).toEqual(KEY_REJECTED);
    expect(await byKey.next()).toEqual(KEY_REJECTED);
    await settle(topic);
    stays.send("still here");
    expect(await anyone.next()).toBe("still here");
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 0 });
  });

  test("12.7 a publisher that is closed for its key has left: grace begins", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher({}, { grant: keyGrant() }));
    await settle(topic);
    await domain.changeKey(1, DEAD, later(), false);
    expect(await topic.describe()).toMatchObject({ phase: "grace", publishers: 0 });
    await settle(topic);
    await open(topic, publisher({}, { grant: keyGrant({ keyId: 2 }) }));
    expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 1 });
  });

  test("12.9 no cached grant of a key that died opens anything, until the key store was asked", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const live = topicOf("live");
    await open(live, publisher({ publishers: "shared" }, { grant: keyGrant({ keyId: 2 }) }));
    const hourOld = keyGrant({ checkedAtMs: Date.now() - 3_600_000 });
    const shared = { publishers: "shared" } as const;
    await settle(live);
    const grant = keyGrant();
    await domain.changeKey(1, DEAD, later(), false);
    // Told just now, it knows better than a check that was under way meanwhile.
    expect(await answerOf(ask(live, publisher(shared, { grant })))).toBe("needs recheck");
    for (const topic of [live, topicOf("nobody was here")]) {
      await settle(topic);
      await settle(domain);
      const old = { grant: hourOld, isFresh: false };
      expect(await answerOf(ask(topic, publisher(shared, old)))).toBe("needs recheck");
      expect(await answerOf(ask(topic, subscriber(shared, old)))).toBe("needs recheck");
      await settle(topic);
      await open(topic, publisher(shared, { grant: keyGrant() }));
    }
  });

  test("12.9 a key that died meanwhile opens nothing, not for a moment", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const grant = keyGrant();
    await domain.changeKey(1, DEAD, later(), false);
    await settle(domain);
    // Even though the key store was asked for this very handshake: it was asked before.
    for (const join of [
      publisher({}, { grant }),
      subscriber({ publishers: "shared" }, { grant }),
    ]) {
      expect(await answerOf(ask(topicOf(), join))).toBe("needs recheck");
    }
    expect(await domain.topics("", 9)).toEqual([]);
  });

  test("12.9 a key that is switched on again opens", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher({ publishers: "shared" }, { grant: keyGrant({ keyId: 2 }) }));
    await domain.changeKey(1, DEAD, later(), false);
    await settle(domain);
    await domain.changeKey(1, { type: "live", expiresAtMs: null }, later(), false);
    await settle(topic);
    const again = await open(topic, publisher({ publishers: "shared" }, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    again.send("again");
    expect(await reader.next()).toBe("again");
  });

  test("12.7 13.6 keys and tokens that expire close their sockets, each at its time", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const [soon, afterwards] = [Date.now() + 3_600_000, Date.now() + 7_200_000];
    const source = await open(
      topic,
      publisher({}, { grant: keyGrant({ expiresAtMs: afterwards }) }),
    );
    const reader = await open(topic, subscriber(null, { grant: tokenGrant(soon) }));
    const anyone = await open(topic, subscriber());
    await settle(topic);
    expect(await alarmOf(topic)).toBe(soon);
    // Too early: nothing happens, and it is set again.
    await fireAt(topic, soon - 1);
    expect(await alarmOf(topic)).toBe(soon);
    await settle(topic);
    await fireAt(topic, soon);
    expect(await reader.next()).toEqual(TOKEN_EXPIRED);
    expect(await alarmOf(topic)).toBe(afterwards);
    source.send("still here");
    expect(await anyone.next()).toBe("still here");
    await settle(topic);
    await fireAt(topic, afterwards);
    expect(await source.next()).toEqual(KEY_REJECTED);
  });

  test("12.7 an end that is moved moves the alarm with it, through sleep too", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const reader = await open(topic, subscriber(null, { grant: keyGrant() }));
    await settle(topic);
    expect(await alarmOf(topic)).toBe(null);
    const atMs = Date.now() + 60_000;
    const prolonged = { type: "live", expiresAtMs: atMs } as const;
    expect(await domain.changeKey(1, prolonged, later(), false)).toMatchObject({ closed: 0 });
    await settle(topic);
    expect(await alarmOf(topic)).toBe(atMs);
    await fireAt(topic, atMs);
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(await reader.next()).toEqual(KEY_REJECTED);
  });

  test("13.6 a log that is to forget something later does not put the end of a token off", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const soon = Date.now() + 5000;
    const source = await open(topic, publisher({ historySeconds: 3600 }));
    const reader = await open(topic, subscriber(null, { grant: tokenGrant(soon) }));
    await settle(topic);
    source.send("kept for an hour");
    expect(await reader.next()).toBe("kept for an hour");
    await settle(topic);
    expect(await alarmOf(topic)).toBe(soon);
  });

  test.each([
    ["a grace period", { graceSeconds: 60 }, true],
    ["what a vacant topic's log keeps", { publishers: "shared", historySeconds: 60 }, true],
    ["what a live topic's log keeps", { historySeconds: 60 }, false],
  ] as const)(
    "13.6 a token that ends late does not put off the end of %s",
    async (_, policy, leaves) => {
      const { topic: topicOf } = freshDomain();
      const topic = topicOf();
      const source = await open(topic, publisher(policy));
      const reader = await open(topic, subscriber());
      source.send("one");
      await reader.next();
      if (leaves) source.close(1000);
      const phase = leaves ? /grace|vacant/ : /live/;
      await vi.waitFor(async () => expect((await topic.describe()).phase).toMatch(phase));
      const due = await alarmOf(topic);
      await settle(topic);
      await open(topic, subscriber(policy, { grant: tokenGrant(Date.now() + 86_400_000) }));
      expect(await alarmOf(topic)).toBe(due);
    },
  );

  test("12.8 a topic with keys that do not end sets no alarm: nothing wakes it", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher({}, { grant: keyGrant() }));
    await open(topic, subscriber());
    await settle(topic);
    expect(await alarmOf(topic)).toBe(null);
  });

  test("12.8 a key store that does not answer says nothing about a key in use", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const longAgo = keyGrant({ checkedAtMs: Date.now() - 3_000_000 });
    const source = await open(topic, publisher({}, { grant: longAgo }));
    const reader = await open(topic, subscriber());
    await settle(topic);
    source.send("one");
    source.send("two");
    expect(await reader.take(2)).toEqual(["one", "two"]);
    await settle(topic);
    source.send("three");
    expect(await reader.next()).toBe("three");
  });

  test("15.2 the domain knows which topics are live, and since when", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const before = Date.now();
    const [a, b] = [topicOf("a"), topicOf("b/ü")];
    const source = await open(a, publisher({ graceSeconds: 0 }, { grant: keyGrant() }));
    await open(b, publisher({}, { grant: keyGrant() }));
    // Registering runs beside the handshake; whatever the topic answers next comes after it.
    await vi.waitFor(async () => expect(await domain.topics("", 9)).toHaveLength(2));
    await settle(domain);
    const topics = await domain.topics("", 9);
    expect(topics.map(({ topic }) => topic)).toEqual(["a", "b/ü"]);
    expect(topics.every(({ sinceMs }) => sinceMs >= before)).toBe(true);
    const since = await domain.liveSince("b/ü");
    await settle(b);
    await open(b, publisher({}, { grant: keyGrant(), takeover: true }));
    expect(await domain.liveSince("b/ü")).toBe(since);
    source.close(1000);
    await source.next();
    await vi.waitFor(async () => expect(await domain.liveSince("a")).toBe(null));
  });

  test("15.2 a topic that a crash kept from saying that it is over is struck when it is next told of a key", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await domain.register("topic", true);
    await settle(domain);
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 0 });
    expect(await domain.topics("", 9)).toEqual([]);
    expect(await topic.describe()).toEqual({ phase: "vacant", publishers: 0, subscribers: 0 });
  });

  test("a socket that version 0.1 accepted goes on, and knows no key", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher());
    const reader = await open(topic, subscriber());
    await runInDurableObject(topic, (_, ctx) => {
      for (const socket of hubSockets(ctx, "publisher")) {
        socket.serializeAttachment({
          v: 1,
          role: "publisher",
          heartbeatSeconds: null,
          connectedAtMs: 0,
        });
      }
      for (const socket of hubSockets(ctx, "subscriber")) {
        socket.serializeAttachment({ v: 1, role: "subscriber" });
      }
    });
    await evict(topic);
    await settle(topic);
    await domain.changeKey(1, DEAD, later(), false);
    source.send("as ever");
    expect(await reader.next()).toBe("as ever");
  });

  test("14.2 a publisher that sends too much is closed, and has then left", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({ messagesPerSecond: 2 }));
    const reader = await open(topic, subscriber());
    await settle(topic);
    for (const text of ["1", "2", "3"]) source.send(text);
    expect(await reader.take(2)).toEqual(["1", "2"]);
    expect(await source.next()).toEqual({ code: 4429, reason: "too-many-requests" });
    await settle(topic);
    expect(await topic.describe()).toMatchObject({ phase: "grace" });
  });

  test("14.3 a topic takes as many as its domain allows, and counts those who left", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { publishers: "shared", maxPublishers: 1, maxSubscribers: 1 } as const;
    const source = await open(topic, publisher(policy));
    const reader = await open(topic, subscriber());
    await settle(topic);
    expect(await answerOf(ask(topic, publisher(policy)))).toBe("too-many-publishers");
    expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
    reader.close(1000);
    await reader.next();
    await settle(topic);
    await open(topic, subscriber());
    source.close(1000);
    await source.next();
    await open(topic, publisher(policy));
  });
});

test("12.8 of many topics that find a key dead the first is believed, until it was checked again", async () => {
  const { domain } = freshDomain();
  const checkedAtMs = Date.now();
  await domain.reportDead(1, checkedAtMs);
  const [first] = await domain.revocations();
  vi.useFakeTimers({ toFake: ["Date"], now: checkedAtMs + 60_000 });
  try {
    await domain.reportDead(1, checkedAtMs);
    expect(await domain.revocations()).toEqual([first]);
    await domain.reportDead(1, checkedAtMs + 60_000);
    expect(await domain.revocations()).not.toEqual([first]);
  } finally {
    vi.useRealTimers();
  }
});

test("2.1 12.7 a topic that the runtime tells no name knows its address after sleep, too", async () => {
  const domainName = `domain-${crypto.randomUUID()}`;
  const name = `${domainName}/${"👋".repeat(256)}`;
  const topic = env.TOPIC.getByName(name);
  const request = upgradeRequest(publisher({}, { grant: keyGrant() }));
  request.headers.set(NAME_HEADER, encodeURIComponent(name));
  const { webSocket } = await topic.fetch(request);
  if (webSocket === null) throw new Error("Refused");
  const source = new Client(webSocket);
  await evict(topic);
  const again = upgradeRequest(publisher({}, { grant: keyGrant({ keyId: 2 }), takeover: true }));
  const { webSocket: other } = await topic.fetch(again);
  if (other === null) throw new Error("Refused");
  // Held, or it were collected, and with it the socket closed.
  const taken = new Client(other);
  expect(await source.next()).toEqual({ code: 4509, reason: "publisher-displaced" });
  await evict(topic);
  expect(await env.DOMAIN.getByName(domainName).applyKey(2, DEAD)).toBe(1);
  expect(await taken.next()).toEqual(KEY_REJECTED);
});

test("12.9 a crash of the domain forgets no revocation", async () => {
  const { domain, topic: topicOf } = freshDomain();
  await domain.changeKey(1, DEAD, later(), false);
  await evict(domain);
  const grant = keyGrant({ checkedAtMs: Date.now() - 60_000 });
  expect(await answerOf(ask(topicOf(), publisher({}, { grant })))).toBe("needs recheck");
});

test("12.7 a topic that crashed is told of keys all the same", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  await open(topic, publisher({}, { grant: keyGrant() }));
  await vi.waitFor(async () => expect(await domain.liveSince("topic")).not.toBe(null));
  await crash(topic);
  const back = await open(topic, publisher({}, { grant: keyGrant() }));
  expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 1 });
  expect(await back.next()).toEqual(KEY_REJECTED);
});
