/**
 * PROTOCOL.md, section 17, on the object itself: a post is a publisher that comes, publishes and leaves. Every test of
 * the first part runs twice, the second time with topic and domain evicted between its steps.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { hasEnded } from "../../../src/core/fresh-stub.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerKeyDesk,
  callsOf,
  failNextCall,
  failNextWrite,
  holdNextCall,
} from "../../support-in-workerd/faults.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { cursorOf, post, postedTo, wordOf, type PostOptions } from "../support/posts.ts";
import { answerOf, ask, open, publisher, subscriber } from "../support/sockets.ts";
import { crash, evict, freshDomain, wake } from "../support/topics.ts";

const SHARED = { publishers: "shared" } as const;
const KEPT = { historyMessages: 100, historySeconds: 3600, historyDelayMs: 0 } as const;
const DEAD = { type: "dead" } as const;
const TOKEN_REQUIRED = { code: 4501, reason: "token-required" };
const HOUR_MS = 3_600_000;

async function topicsOf(domain: DurableObjectStub<Domain>): Promise<string[]> {
  return (await domain.topics("", 9)).map(({ topic }) => topic);
}

async function phaseOf(topic: DurableObjectStub<Topic>): Promise<string> {
  return (await topic.describe()).phase;
}

/** What a topic has stored. */
function storedOn(topic: DurableObjectStub<Topic>): Promise<unknown[]> {
  return runInDurableObject(topic, async (_, { storage }) => Array.from(await storage.list()));
}

/** By a key of a number, out of a cache, so that the domain must know of it. */
function byKey(keyId: number, options: PostOptions = {}): PostOptions {
  const grant = keyGrant({ keyId });
  return { grant, policyAtMs: grant.checkedAtMs, isFresh: false, isRechecked: false, ...options };
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a post, $name", ({ settle }) => {
  test("17.7 starts a vacant topic, of which the domain is told, and leaves it in grace", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const binary = new Uint8Array([0, 255]).buffer;
    const messages = ["a", "", binary];
    const answer = await post(topic, KEPT, { messages });
    expect(answer).toEqual({
      type: "published",
      cursor: expect.stringMatching(/^[0-9a-z]{12}-3$/) as unknown,
      count: 3,
      subscribers: 0,
    });
    await settle(topic);
    expect(await phaseOf(topic)).toBe("grace");
    expect(await topicsOf(domain)).toEqual(["topic"]);
    const reader = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await reader.take(3)).toEqual(messages);
    await settle(topic);
    const heard = await post(topic, KEPT, { messages: ["heard"] });
    expect(heard).toMatchObject({ count: 1, subscribers: 1 });
    expect(await reader.next()).toBe("heard");
  });

  test("17.7 takes over in grace, which begins anew, to the next whole second", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    source.close(1000);
    await source.next();
    await settle(topic);
    const beganMs = clock.nowMs;
    clock.set(beganMs + 9000);
    expect(await postedTo(topic)).toBe("published");
    expect(await reader.next()).toBe("posted");
    await settle(topic);
    await clock.advanceTo(beganMs + 18_000, topic);
    expect(await phaseOf(topic)).toBe("grace");
    await clock.advanceTo(Math.ceil((beganMs + 19_000) / 1000) * 1000 - 1, topic);
    expect(await phaseOf(topic)).toBe("grace");
    await clock.advanceTo(Math.ceil((beganMs + 19_000) / 1000) * 1000, topic);
    expect(await reader.next()).toEqual({ code: 1000, reason: "topic-ended" });
    await atRest();
    expect(await topicsOf(domain)).toEqual([]);
  });

  test("17.7 meets a conflict while a publisher is connected, silent or not, and displaces nobody", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant(), heartbeatSeconds: 1 }));
    const reader = await open(topic, subscriber());
    await settle(topic);
    const entered = callsOf(domain, "enter").length;
    expect(await postedTo(topic, {}, { grant: keyGrant({ keyId: 2 }) })).toBe("publisher-conflict");
    clock.set(clock.nowMs + 3001);
    expect(await postedTo(topic, {}, { grant: keyGrant(), takeover: true })).toBe(
      "publisher-conflict",
    );
    // It was refused whatever the domain says.
    expect(callsOf(domain, "enter")).toHaveLength(entered);
    source.send("still here");
    expect(await reader.next()).toBe("still here");
  });

  test("17.5 an id that is known is answered before anything starts, or stands against it", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const first = await post(topic, KEPT, byKey(1, { id: "one", messages: ["a", "b"] }));
    await settle(topic);
    const source = await open(topic, publisher(KEPT, { grant: keyGrant() }));
    await settle(topic);
    const again = byKey(1, { id: "one", messages: ["a", "b"] });
    expect(await post(topic, KEPT, again)).toEqual(first);
    expect(await postedTo(topic, KEPT, byKey(1, { id: "one" }))).toBe("id-reused");
    expect(await postedTo(topic, KEPT, byKey(1, { id: "two" }))).toBe("publisher-conflict");
    source.close(1000);
    await source.next();
    await clock.advanceTo(clock.nowMs + 11_000, topic);
    await atRest();
    await settle(topic);
    expect(await phaseOf(topic)).toBe("vacant");
    expect(await post(topic, KEPT, again)).toEqual(first);
    expect(await phaseOf(topic)).toBe("vacant");
    expect(await topicsOf(domain)).toEqual([]);
    const other = await post(topic, KEPT, byKey(2, { id: "one", messages: ["a", "b"] }));
    expect(cursorOf(other)).not.toBe(cursorOf(first));
  });

  test("17.8 publishes beside the publishers of a shared topic, and takes no place of theirs", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { ...SHARED, maxPublishers: 1 };
    const source = await open(topic, publisher(policy, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    await settle(topic);
    expect(await postedTo(topic, policy)).toBe("published");
    source.send("by a socket");
    expect(await reader.take(2)).toEqual(["posted", "by a socket"]);
    source.close(1000);
    await source.next();
    await settle(topic);
    expect(await postedTo(topic, policy)).toBe("published");
    await open(topic, publisher(policy, { grant: keyGrant() }));
    expect(await answerOf(ask(topic, publisher(policy, { grant: keyGrant() })))).toBe(
      "too-many-publishers",
    );
  });

  test("17.8 reaches those who wait on a vacant topic, but for strangers where it has become private", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const stranger = await open(topic, subscriber(SHARED));
    const known = await open(topic, subscriber(SHARED, { grant: keyGrant() }));
    await settle(topic);
    expect(await postedTo(topic, { ...SHARED, subscribers: "token" })).toBe("published");
    expect(await known.next()).toBe("posted");
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
  });

  test("17.10 a key that was revoked posts no more, whatever a cache says", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const cached = byKey(1);
    const known = { ...cached, id: "known" };
    expect(await postedTo(topic, SHARED, known)).toBe("published");
    await domain.changeKey(1, DEAD, later(), false);
    await settle(topic);
    await settle(domain);
    for (const target of [topic, topicOf("other")]) {
      expect(await postedTo(target, SHARED, cached)).toBe("needs recheck");
    }
    expect(await topicsOf(domain)).not.toContain("other");
    // Nor is it told what became of a post of before.
    expect(await postedTo(topic, SHARED, known)).toBe("needs recheck");
  });

  test("17.9 a token posts where its domain takes such, and displaces nobody, itself neither", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const grant = tokenGrant(Date.now() + HOUR_MS);
    expect(await postedTo(topic, {}, { grant })).toBe("token-publishers-off");
    expect(await storedOn(topic)).toEqual([]);
    const policy = { tokenPublishers: true };
    expect(await postedTo(topic, policy, { grant })).toBe("published");
    await settle(topic);
    expect(await phaseOf(topic)).toBe("grace");
    await open(topic, publisher(policy, { grant }));
    await settle(topic);
    expect(await postedTo(topic, policy, { grant })).toBe("publisher-conflict");
  });

  test("17.7 without a grace it starts and ends a topic in one", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { ...KEPT, graceSeconds: 0 };
    for (const text of ["a", "b"]) {
      expect(await postedTo(topic, policy, { messages: [text] })).toBe("published");
      await settle(topic);
      await atRest();
      expect(await phaseOf(topic)).toBe("vacant");
      expect(await topicsOf(domain)).toEqual([]);
      const holding = await runInDurableObject(domain, (_, { storage }) =>
        Array.from(storage.kv.list({ prefix: "holding:" })),
      );
      expect(holding).toEqual([]);
    }
    await open(topic, publisher(policy, { grant: keyGrant() }));
    const reader = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await reader.take(2)).toEqual(["a", "b"]);
  });

  test("17.6 an id holds through a crash, where the log is durable", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const first = await post(topic, KEPT, { id: "one" });
    await settle(topic);
    await crash(topic);
    expect(await post(topic, KEPT, { id: "one" })).toEqual(first);
    const { messages } = { messages: ["next"] };
    expect(cursorOf(await post(topic, KEPT, { messages }))).toMatch(/-2$/);
  });
});

describe("posts that follow each other", () => {
  test("17.8 cost the domain one call, and are over for it a moment after the last", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    for (let n = 0; n < 5; n++) expect(await postedTo(topic, SHARED, byKey(1))).toBe("published");
    expect(callsOf(domain).map(({ method }) => method)).toEqual(["enter"]);
    expect(await topicsOf(domain)).toEqual(["topic"]);
    expect(await phaseOf(topic)).toBe("live");
    expect(await postedTo(topic, SHARED, byKey(2))).toBe("published");
    expect(callsOf(domain, "enter")).toHaveLength(2);
    await vi.waitFor(() => expect(callsOf(domain, "leave")).toHaveLength(1), 10_000);
    await atRest();
    expect(await phaseOf(topic)).toBe("vacant");
    expect(await topicsOf(domain)).toEqual([]);
    expect(await storedOn(topic)).toEqual([]);
    // Nothing is left of its keys either.
    const rows = await runInDurableObject(domain, (_, { storage }) =>
      Array.from(storage.kv.list({ prefix: "holding:" })),
    );
    expect(rows).toEqual([]);
  });

  test("17.7 cost an exclusive topic's domain one call as well, and a row a second at most", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    await postedTo(topic, KEPT, byKey(1));
    const state = await storedState(topic);
    clock.set(Math.ceil(clock.nowMs / 1000) * 1000 + 1);
    await postedTo(topic, KEPT, byKey(1));
    const second = await storedState(topic);
    expect(second).not.toEqual(state);
    clock.set(clock.nowMs + 998);
    await postedTo(topic, KEPT, byKey(1));
    expect(await storedState(topic)).toEqual(second);
    expect(callsOf(domain).map(({ method }) => method)).toEqual(["enter"]);
  });

  test("17.5 twenty at once by one id are published once", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const reader = await open(topic, subscriber(SHARED));
    const same = byKey(1, { id: "one" });
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(topic, SHARED, same)));
    expect(new Set(answers.map(cursorOf)).size).toBe(1);
    expect(await postedTo(topic, SHARED, byKey(1, { messages: ["last"] }))).toBe("published");
    expect(await reader.take(2)).toEqual(["posted", "last"]);
    expect(callsOf(domain, "enter")).toHaveLength(1);
  });

  test("17.5 who repeats an id while the domain is asked is charged for nothing", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using call = holdNextCall(domain, { method: "enter" });
    const policy = { ...SHARED, messagesPerSecond: 1 };
    const both = [1, 2].map(() => post(topic, policy, byKey(1, { id: "one" })));
    await call.reached();
    call.release();
    expect((await Promise.all(both)).map(wordOf)).toEqual(["published", "published"]);
  });

  test("17.7 of many at once none meets a conflict with another", async () => {
    const topic = freshDomain().topic();
    const all = Array.from({ length: 20 }, (_, n) => postedTo(topic, {}, byKey(n + 1)));
    expect(new Set(await Promise.all(all))).toEqual(new Set(["published"]));
  });
});

describe("a stay", () => {
  test("17.8 lets the topic live on when its publisher leaves", async () => {
    const topic = freshDomain().topic();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    await postedTo(topic, SHARED);
    source.close(1000);
    await source.next();
    expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 0 });
  });

  test("16.3 is over when the domain becomes exclusive: the grace begins", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await postedTo(topic, SHARED);
    await domain.changePolicy(DEFAULT_POLICY, later());
    expect(await phaseOf(topic)).toBe("grace");
    await open(topic, publisher({}, { grant: keyGrant(), policyAtMs: later() }));
  });
});

describe("a post on a live topic", () => {
  test("16.1 brings the newest policy, by which strangers are closed", async () => {
    const topic = freshDomain().topic();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const stranger = await open(topic, subscriber());
    const policy = { ...SHARED, subscribers: "token" } as const;
    expect(await postedTo(topic, policy, { policyAtMs: later() + 60_000 })).toBe("published");
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
    source.close(1000);
  });

  test("12.8 has the keys of its sockets looked at", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    answerKeyDesk(domain, {
      lookUp: (_, keyIds) => ({
        atMs: clock.nowMs,
        standings: keyIds.map((keyId) => ({ keyId, standing: DEAD })),
        policy: null,
      }),
    });
    const grant = keyGrant({ keyId: 2, checkedAtMs: clock.nowMs });
    const reader = await open(topic, subscriber(SHARED, { grant }));
    await clock.advance(31_000);
    expect(await postedTo(topic, SHARED)).toBe("published");
    const [first] = [await reader.next()].filter((item) => item !== "posted");
    expect(first ?? (await reader.next())).toEqual({ code: 4501, reason: "key-rejected" });
  });

  test("9.3 without history an epoch and an offset never stand for two messages, though it crashes", async () => {
    const topic = freshDomain().topic();
    await postedTo(topic);
    await vi.waitFor(async () =>
      expect(
        await runInDurableObject(topic, (_, { storage }) => storage.kv.get("log")),
      ).toBeDefined(),
    );
    const cursors = new Set<string>();
    for (let n = 0; n < 5; n++) {
      cursors.add(cursorOf(await post(topic)));
      await crash(topic);
      cursors.add(cursorOf(await post(topic)));
    }
    expect(cursors.size).toBe(10);
  });
});

describe("a post that is refused", () => {
  test("17.4 begins nothing: its messages are too large", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { ...KEPT, maxMessageBytes: 4 };
    const answer = await post(topic, policy, byKey(1, { messages: ["1234", "12345"] }));
    expect(answer).toMatchObject({
      problem: { slug: "message-too-large", detail: '"messages[1]" has more than 4 bytes' },
    });
    await atRest();
    expect(await storedOn(topic)).toEqual([]);
    expect(await topicsOf(domain)).toEqual([]);
  });

  test("10.7 nor does one that names another before it that is not there", async () => {
    const topic = freshDomain().topic();
    expect(await postedTo(topic, KEPT, { id: "two", after: "one" })).toBe("out-of-order");
    expect(await phaseOf(topic)).toBe("vacant");
    await post(topic, KEPT, { id: "one" });
    expect(await postedTo(topic, KEPT, { id: "two", after: "one" })).toBe("published");
  });

  test("17.11 is over the rate of its key, which all posts of it share, and sockets go on with", async () => {
    const topic = freshDomain().topic();
    using clock = new Clock();
    const policy = { ...SHARED, messagesPerSecond: 2 };
    const two = byKey(1, { messages: ["a", "b"] });
    expect(await postedTo(topic, policy, two)).toBe("published");
    expect(await post(topic, policy, byKey(1))).toMatchObject({
      problem: { slug: "too-many-requests", retryAfter: 1 },
    });
    expect(await postedTo(topic, policy, byKey(2))).toBe("published");
    const source = await open(topic, publisher(policy, { grant: keyGrant() }));
    source.send("too early");
    expect(await source.next()).toEqual({ code: 4429, reason: "too-many-requests" });
    clock.set(clock.nowMs + 1000);
    expect(await postedTo(topic, policy, two)).toBe("published");
    // Who was published is not charged for saying so again.
    const once = byKey(3, { id: "once", messages: ["a", "b"] });
    expect(await postedTo(topic, policy, once)).toBe("published");
    expect(await postedTo(topic, policy, once)).toBe("published");
  });

  test("17.11 one of too many that wait for their answer is told so at once", async () => {
    const topic = freshDomain().topic();
    const policy = { ...KEPT, ...SHARED, historyDelayMs: 1000 };
    await post(topic, policy);
    // It waits for its row, and those that repeat it with it.
    const waiting = Array.from({ length: 1000 }, () => post(topic, policy, { id: "one" }));
    expect(await postedTo(topic, policy, { id: "one" })).toBe("topic-overloaded");
    expect(await postedTo(topic, policy, { id: "two" })).toBe("topic-overloaded");
    expect(await postedTo(topic, policy, byKey(2))).toBe("published");
    expect(new Set((await Promise.all(waiting)).map(cursorOf)).size).toBe(1);
    expect(await postedTo(topic, policy, { id: "one" })).toBe("published");
  });

  test("10.11 comes when more waits than the topic can hold", async () => {
    const topic = freshDomain().topic();
    const policy = { ...SHARED, maxMessageBytes: 33_554_432 };
    const messages = ["x".repeat(5 * 1024 * 1024)];
    const all = Array.from({ length: 6 }, () => post(topic, policy, { messages }));
    const words = (await Promise.all(all)).map(wordOf);
    expect(words.slice(0, 3)).toEqual(["published", "published", "published"]);
    expect(words).toContain("topic-overloaded");
  });
});

describe("while something fails", () => {
  test("17.6 a post is answered only when it is in the log, and goes well when it is sent again", async () => {
    const { topic: topicOf } = freshDomain();
    const policy = { ...KEPT, ...SHARED };
    await post(topicOf(), policy);
    failNextWrite(topicOf(), { method: "sql.exec", matching: "insert into log" });
    const failed: unknown = await post(topicOf(), policy, { id: "one" }).catch(
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(Error);
    // The edge asks once more by itself.
    expect(hasEnded(failed)).toBe(true);
    expect(cursorOf(await post(topicOf(), policy, { id: "one" }))).toMatch(/-2$/);
  });

  test("17.10 nobody posts by a cached grant while the domain cannot be reached", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    failNextCall(domain, { method: "enter", times: 1 });
    expect(await postedTo(topic, {}, byKey(1))).toBe("needs recheck");
    failNextCall(domain, { method: "enter", times: 2 });
    expect(await postedTo(topic, {}, { grant: keyGrant() })).toBe("published");
    await atRest();
    await runDurableObjectAlarm(topic);
    await atRest();
    expect(await topicsOf(domain)).toEqual(["topic"]);
  });

  test("14.12 a domain has too many topics, by the newest that it knows", async () => {
    const { topic: topicOf } = freshDomain();
    const policy = { maxTopics: 1 };
    expect(await postedTo(topicOf("one"), policy)).toBe("published");
    expect(await postedTo(topicOf("two"), policy)).toBe("too-many-topics");
    expect(await postedTo(topicOf("one"), policy)).toBe("published");
  });

  test("16.2 an older policy out of a cache does not undo a newer one", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const old = byKey(1, { policyAtMs: later() - 60_000 });
    await domain.changePolicy({ ...DEFAULT_POLICY, ...SHARED, maxMessageBytes: 3 }, later());
    expect(await postedTo(topic, SHARED, old)).toBe("message-too-large");
  });
});

test("17.2 a text of 16 MiB arrives, also one that takes two bytes a unit", async () => {
  const topic = freshDomain().topic();
  const policy = { ...SHARED, maxMessageBytes: 33_554_432 };
  const reader = await open(topic, subscriber(policy));
  const text = `\u{FEFF}€${"x".repeat(16 * 1024 * 1024 - 6)}`;
  expect(await postedTo(topic, policy, { messages: [text] })).toBe("published");
  expect((await reader.next()) === text).toBe(true);
});

test("17.7 a topic whose name has more than 1,024 bytes keeps it for its grace, and no longer", async () => {
  const name = `domain-${crypto.randomUUID()}/${"ä".repeat(600)}`;
  const topic = env.TOPIC.getByName(name);
  using clock = new Clock();
  expect(await postedTo(topic, {}, {})).toBe("published");
  await evict(topic);
  await clock.advanceTo(clock.nowMs + 11_000, topic);
  await atRest();
  expect(await env.DOMAIN.getByName(name.slice(0, name.indexOf("/"))).topics("", 9)).toEqual([]);
  expect(await storedOn(topic)).toEqual([]);
});

function storedState(topic: DurableObjectStub<Topic>): Promise<unknown> {
  return runInDurableObject(topic, (_, { storage }) => storage.kv.get("state"));
}
