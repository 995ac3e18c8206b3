/**
 * PROTOCOL.md, 14.12 and 14.13: how many topics a domain may have, and that its count of them is true whatever
 * becomes of them. Topics are real ones of the same domain.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { callsOf, failNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { answerOf, ask, open, publisher, subscriber } from "../support/sockets.ts";
import { crash, evict, freshDomain, wake } from "../support/topics.ts";

const TWO: Partial<Policy> = { maxTopics: 2, graceSeconds: 0 };
const SHARED: Partial<Policy> = { ...TWO, publishers: "shared" };
const TOO_MANY = { code: 4453, reason: "too-many-topics" };
const MINUTE_MS = 60_000;

interface Books {
  readonly counted: unknown;
  readonly rows: readonly string[];
}

/** What is counted, and what there is. */
function booksOf(domain: DurableObjectStub<Domain>): Promise<Books> {
  return runInDurableObject(domain, (_, { storage }) => ({
    counted: storage.kv.get("count"),
    rows: Array.from(storage.kv.list(), ([row, value]) => {
      const waits = typeof value === "object" && value !== null && "waits" in value;
      return waits ? `${row} waits` : row;
    }).filter((row) => /^(topic|holding):/.test(row)),
  }));
}

async function expectTrueCount(domain: DurableObjectStub<Domain>): Promise<void> {
  const { counted, rows } = await booksOf(domain);
  const topics = rows.filter((row) => row.startsWith("topic:")).length;
  const waiting = rows.filter((row) => row.endsWith(" waits")).length;
  expect<unknown>(counted ?? { topics: 0, waiting: 0 }).toEqual({ topics, waiting });
}

const bound = (maxTopics: number): { maxTopics: number; atMs: number } => ({
  maxTopics,
  atMs: later(),
});

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("max_topics, $name", ({ settle }) => {
  test("14.12 a topic over it is refused, and there is room when another has ended", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const join = publisher(TWO, { grant: keyGrant() });
    const first = await open(topicOf("one"), join);
    await open(topicOf("two"), join);
    await settle(domain);
    expect(await answerOf(ask(topicOf("three"), join))).toBe("too-many-topics");
    expect((await domain.topics("", 9)).map(({ topic }) => topic)).toEqual(["one", "two"]);
    first.close(1000);
    await first.next();
    await atRest();
    await settle(domain);
    await open(topicOf("three"), join);
    expect(await answerOf(ask(topicOf("one"), join))).toBe("too-many-topics");
    await expectTrueCount(domain);
  });

  test("14.12 topics that are there go on, whoever comes by whatever key", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const join = publisher({ ...SHARED, maxTopics: 1 }, { grant: keyGrant() });
    await open(topicOf("one"), join);
    await settle(domain);
    await settle(topicOf("one"));
    const other = { ...join, grant: keyGrant({ keyId: 2 }) };
    await open(topicOf("one"), other);
    await open(topicOf("one"), subscriber(null, { grant: keyGrant({ keyId: 3 }) }));
    await open(topicOf("one"), subscriber());
    expect(await answerOf(ask(topicOf("two"), other))).toBe("too-many-topics");
  });

  test("14.13 as many places may be waited on by key, which a sleep does not lose", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const wait = subscriber(SHARED, { grant: keyGrant() });
    await open(topicOf("one"), wait);
    await open(topicOf("two"), wait);
    await settle(domain);
    await settle(topicOf("one"));
    expect(await answerOf(ask(topicOf("three"), wait))).toBe("too-many-topics");
    await open(topicOf("one"), wait);
    // Who needs no key is in no register.
    await open(topicOf("three"), subscriber(SHARED));
    // Publishers are counted by themselves.
    const source = await open(topicOf("one"), publisher(SHARED, { grant: keyGrant() }));
    await open(topicOf("three"), wait);
    await expectTrueCount(domain);
    // The topic is over, and one waits on it again.
    source.close(1000);
    await source.next();
    await atRest();
    await settle(domain);
    expect((await booksOf(domain)).rows).toEqual(
      ["one", "three", "two"].map((name) => `holding:1/topic/${name} waits`),
    );
    expect(await answerOf(ask(topicOf("four"), wait))).toBe("too-many-topics");
    await expectTrueCount(domain);
  });

  test("14.12 a bound that the domain was told of holds against an older one", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const join = publisher({ maxTopics: 1 }, { grant: keyGrant() });
    await open(topicOf("one"), join);
    await domain.changePolicy({ ...DEFAULT_POLICY, maxTopics: 2 }, later());
    await settle(domain);
    await open(topicOf("two"), join);
    expect(await answerOf(ask(topicOf("three"), join))).toBe("too-many-topics");
    const newer = publisher({ maxTopics: 3 }, { grant: keyGrant() });
    await open(topicOf("three"), newer);
  });

  test("14.12 what was let in while the domain was out of reach is closed", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const join = publisher({ maxTopics: 1, graceSeconds: 0 }, { grant: keyGrant() });
    await open(topicOf("one"), join);
    const wait = subscriber({ ...SHARED, maxTopics: 1 }, { grant: keyGrant() });
    await open(topicOf("waiting"), wait);
    // A vacant topic forgets what it may while it sleeps.
    await domain.changePolicy({ ...DEFAULT_POLICY, ...SHARED, maxTopics: 1 }, later());
    for (const [name, admission] of [
      ["two", join],
      ["three", wait],
    ] as const) {
      const topic = topicOf(name);
      const fault = failNextCall(domain, { method: "enter", times: 2 });
      const socket = await open(topic, admission);
      await vi.waitFor(() => expect(fault.struck).toBe(2));
      await atRest();
      await settle(topic);
      await runDurableObjectAlarm(topic);
      expect(await socket.next()).toEqual(TOO_MANY);
    }
    await atRest();
    expect((await booksOf(domain)).rows).toEqual([
      "holding:1/topic/one",
      "holding:1/topic/waiting waits",
      "topic:one",
    ]);
  });

  test("14.12 what a crash left behind makes room within minutes, and is not asked for each who is refused", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const nowMs = Date.now();
    const join = publisher({ ...TWO, graceSeconds: 0 }, { grant: keyGrant() });
    await open(topicOf("one"), join);
    await open(topicOf("two"), join);
    await crash(topicOf("one"));
    vi.useFakeTimers({ toFake: ["Date"], now: nowMs + MINUTE_MS });
    expect(await answerOf(ask(topicOf("three"), join))).toBe("too-many-topics");
    await runDurableObjectAlarm(domain);
    expect(callsOf(topicOf("one"), "audit")).toHaveLength(0);
    await settle(domain);
    vi.setSystemTime(nowMs + 6 * MINUTE_MS);
    await runDurableObjectAlarm(domain);
    await atRest();
    vi.useRealTimers();
    await open(topicOf("three"), join);
    await expectTrueCount(domain);
  });
});

test("14.13 who has left makes room within minutes, though nobody asks and the domain sleeps", async () => {
  const { domain, topic: topicOf } = freshDomain();
  using clock = new Clock();
  const wait = subscriber(SHARED, { grant: keyGrant() });
  for (const name of ["one", "two"]) {
    const waiting = await open(topicOf(name), wait);
    waiting.close(1000);
    await waiting.next();
  }
  expect(await answerOf(ask(topicOf("three"), wait))).toBe("too-many-topics");
  await evict(domain);
  await clock.advance(5.1 * MINUTE_MS, domain);
  await atRest();
  await open(topicOf("three"), wait);
  await expectTrueCount(domain);
});

test("14.12 of many that come at once as many get in as may", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const join = publisher({ maxTopics: 5 }, { grant: keyGrant() });
  const names = Array.from({ length: 12 }, (_, n) => `topic-${n}`);
  const answers = await Promise.all(names.map((name) => answerOf(ask(topicOf(name), join))));
  expect(answers.filter((answer) => answer === null)).toHaveLength(5);
  expect(answers.filter((answer) => answer === "too-many-topics")).toHaveLength(7);
  expect(await domain.topics("", 20)).toHaveLength(5);
});

test("14.13 a ticket's holder is entered only when it is known how much room there is", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const byTicket = subscriber(null, { grant: keyGrant(), isFresh: false });
  expect(await answerOf(ask(topic, byTicket))).toBe("needs policy");
  expect((await booksOf(domain)).rows).toEqual([]);
});

describe("the count", () => {
  test("takes in what the version before has entered", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const join = publisher(TWO, { grant: keyGrant() });
    await domain.enter({ holder: "topic/one", life: "a life", keyIds: [1] });
    await runInDurableObject(domain, (_, { storage }) => void storage.kv.delete("count"));
    await evict(domain);
    await open(topicOf("two"), join);
    expect(await answerOf(ask(topicOf("three"), join))).toBe("too-many-topics");
    await expectTrueCount(domain);
  });

  test("an object of the version before is entered in any case: it could not be told that it is not", async () => {
    const { domain } = freshDomain();
    await domain.changePolicy({ ...DEFAULT_POLICY, maxTopics: 1 }, later());
    for (const name of ["one", "two"]) {
      const entered = await domain.enter({ holder: `topic/${name}`, life: name, keyIds: [1] });
      expect(entered).not.toHaveProperty("hasTooManyTopics");
    }
    await domain.register("three", true);
    expect(await domain.topics("", 9)).toHaveLength(3);
    await expectTrueCount(domain);
  });

  test("is put right by the daily sweep", async () => {
    const { domain, topic: topicOf } = freshDomain();
    await open(topicOf("one"), publisher(TWO, { grant: keyGrant() }));
    await runInDurableObject(domain, (_, { storage }) =>
      storage.kv.put("count", { topics: 900, waiting: 900 }),
    );
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 25 * 60 * MINUTE_MS });
    await runDurableObjectAlarm(domain);
    vi.useRealTimers();
    await expectTrueCount(domain);
  });

  test("is true whatever becomes of topics", async () => {
    const name = fc.constantFrom("a", "b", "c");
    const life = fc.constantFrom("one", "two");
    const keyIds = fc.uniqueArray(fc.constantFrom(1, 2, 3), { maxLength: 3 });
    const step = fc.oneof(
      fc.record({ do: fc.constant("enter"), name, life: fc.option(life), keyIds }),
      fc.record({ do: fc.constant("leave"), name, life, keyIds, held: fc.option(keyIds) }),
      fc.record({ do: fc.constantFrom("register", "unregister", "dead", "evict"), name }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { domain } = freshDomain();
        for (const taken of steps) {
          const holder = `topic/${taken.name}`;
          if (taken.do === "enter" && "life" in taken && "keyIds" in taken) {
            await domain.enter({ holder, life: taken.life, keyIds: taken.keyIds, bound: bound(2) });
          } else if (taken.do === "leave" && "held" in taken) {
            await domain.leave(holder, taken.life, taken.held ?? []);
          } else if (taken.do === "register") {
            await domain.register(taken.name, false);
          } else if (taken.do === "unregister") {
            await domain.unregister(taken.name, Date.now());
          } else if (taken.do === "dead") {
            await domain.changeKey(1, { type: "dead" }, later(), false);
          } else {
            await evict(domain);
          }
          await expectTrueCount(domain);
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe("keys of a topic that ends", () => {
  test("12.7 of one with more than a thousand the rest is the sweep's", async () => {
    const { domain } = freshDomain();
    const keyIds = Array.from({ length: 1002 }, (_, n) => n + 1);
    await domain.enter({ holder: "topic/a", life: "one", keyIds });
    await domain.leave("topic/a", "one", []);
    expect((await booksOf(domain)).rows).toEqual(["holding:1/topic/a", "holding:2/topic/a"]);
  });

  test.each(["slept before its publisher left", "did not"])(
    "12.7 are struck with it: one that %s",
    async (what) => {
      const { domain, topic: topicOf } = freshDomain();
      const topic = topicOf();
      const source = await open(topic, publisher(TWO, { grant: keyGrant() }));
      await open(topic, subscriber(null, { grant: keyGrant({ keyId: 2 }) }));
      if (what !== "did not") await evict(topic);
      source.close(1000);
      await source.next();
      await atRest();
      expect((await booksOf(domain)).rows).toEqual([]);
    },
  );
});
