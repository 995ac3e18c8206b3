/**
 * PROTOCOL.md, 15.10, on the object itself: a topic that somebody deletes ends for all who are there. Every test runs
 * twice, the second time with topic and domain evicted between its steps.
 */
import { describe, expect, test } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import { formatAdmission } from "../../../src/core/admission.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { keyGrant } from "../support/grants.ts";
import { post } from "../support/posts.ts";
import { open, publisher, subscriber } from "../support/sockets.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

const DELETED = { code: 1000, reason: "topic-deleted" };
const PUBLISHER_DELETED = { code: 4504, reason: "topic-deleted" };

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a topic that is deleted, $name", ({ settle }) => {
  test.each([
    ["exclusive", {}],
    ["shared", { publishers: "shared" }],
  ] as const)("15.10 ends at once, %s", async (_, policy: Partial<Policy>) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(policy, { grant: keyGrant() }));
    const stream = await open(topic, subscriber(null, { protocol: "stream" }));
    const raw = await open(topic, subscriber());
    source.send("a");
    expect(await raw.next()).toBe("a");
    await settle(topic);
    expect(await topic.end()).toBe(true);
    expect(await source.next()).toEqual(PUBLISHER_DELETED);
    expect(await raw.next()).toEqual(DELETED);
    const [, , end, close] = await stream.take(4);
    expect([end, close]).toEqual(['{"type":"end","reason":"deleted"}', DELETED]);
    expect(await topic.describe()).toEqual({ phase: "vacant", publishers: 0, subscribers: 0 });
    await atRest();
    expect(await domain.topics("", 9)).toEqual([]);
  });

  test("15.10 ends in its grace, and while nobody but posts is there", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    for (const policy of [{}, { publishers: "shared" }] as const) {
      await post(topic, policy);
      const reader = await open(topic, subscriber());
      await settle(topic);
      expect(await topic.end()).toBe(true);
      expect(await reader.next()).toEqual(DELETED);
    }
  });

  test("15.10 who waits on a vacant shared topic goes, too", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const shared = { publishers: "shared" } as const;
    const waiting = await open(topic, subscriber(shared));
    await settle(topic);
    expect(await topic.end()).toBe(true);
    expect(await waiting.next()).toEqual(DELETED);
    expect(await topic.end()).toBe(false);
  });

  test("15.10 where there is nothing, nothing is ended, and nothing left behind", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    expect(await topic.end()).toBe(false);
    await settle(topic);
    expect(await storedIn(topic)).toEqual(NOTHING);
  });

  test("15.10 its log is kept as the policy says, with how it ended", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { historySeconds: 60, historyDelayMs: 0 };
    await post(topic, policy, { messages: ["a"] });
    await settle(topic);
    expect(await topic.end()).toBe(true);
    await settle(topic);
    const page = await topic.page(formatAdmission(subscriber(policy)), 9);
    if (page.type !== "page") throw new Error("No page");
    const body: unknown = JSON.parse(await new Response(page.body).text());
    expect(body).toMatchObject({ messages: ["a"], end: "deleted" });
    await post(topic, policy, { messages: ["b"] });
    const anew = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await anew.take(2)).toEqual(["a", "b"]);
  });

  test("9.8 15.10 the log of a shared topic outlives it, however often it is deleted", async () => {
    const { topic: topicOf } = freshDomain();
    const policy = { publishers: "shared", historyMessages: 9, historyDelayMs: 0 } as const;
    const source = await open(topicOf(), publisher(policy));
    source.send("a");
    const reader = await open(topicOf(), subscriber(policy, { since: "earliest" }));
    expect(await reader.next()).toBe("a");
    await settle(topicOf());
    expect(await topicOf().end()).toBe(true);
    expect(await source.next()).toEqual(PUBLISHER_DELETED);
    expect(await reader.next()).toEqual(DELETED);
    // Who is on what is vacant can be sent away, too; the object leaves memory in between.
    for (let time = 0; time < 2; time++) {
      await atRest();
      const late = await open(topicOf(), subscriber(policy, { since: "earliest" }));
      expect(await late.next()).toBe("a");
      expect(await topicOf().end()).toBe(true);
      expect(await late.next()).toEqual(DELETED);
    }
  });
});
