/**
 * PROTOCOL.md, 17.14, on the object itself: a post that is the last one of its topic. Every test of the first part runs
 * twice, the second time with topic and domain evicted between its steps.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { cursorOf, post, postedTo } from "../support/posts.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { storedIn } from "../support/stored.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

const KEPT = { historySeconds: 3600, historyDelayMs: 0 } as const;
const LAST = { isFinish: true } as const;
const FINISHED = { code: 1000, reason: "topic-finished" };

/** What a domain has stored of topics and of who holds its keys. */
function storedOf(domain: DurableObjectStub<Domain>): Promise<string[]> {
  return runInDurableObject(domain, (_, { storage }) =>
    Array.from(storage.kv.list(), ([key]) => key).filter((key) => /^(holding|topic):/.test(key)),
  );
}

async function frames(client: Client, count: number): Promise<unknown[]> {
  const received = await client.take(count);
  return received.map((item) => {
    if (typeof item !== "string") return item;
    const { type, messages, reason } = JSON.parse(item);
    return messages ?? reason ?? type;
  });
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a post that is the last one, $name", ({ settle }) => {
  test.each([
    ["without history", {}],
    ["with history", KEPT],
  ])("17.14 ends its topic at once, behind its message, %s", async (_, policy: Partial<Policy>) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await post(topic, policy, { messages: ["a"] });
    const reader = await open(topic, subscriber(null, { protocol: "stream" }));
    const raw = await open(topic, subscriber());
    await settle(topic);
    const answer = await post(topic, policy, { messages: ["b"], ...LAST });
    expect(answer).toMatchObject({ type: "published", count: 1, subscribers: 2 });
    expect(cursorOf(answer)).toMatch(/-2$/);
    expect(await frames(reader, 4)).toEqual(["open", ["b"], "finished", FINISHED]);
    expect(await raw.take(2)).toEqual(["b", FINISHED]);
    expect((await topic.describe()).phase).toBe("vacant");
    await atRest();
    expect(await domain.topics("", 9)).toEqual([]);
    expect(await storedOf(domain)).toEqual([]);
  });

  test("17.14 without a message ends what there is, and is not found where there is nothing", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    expect(await postedTo(topic, {}, { messages: [], ...LAST })).toBe("topic-not-live");
    await atRest();
    expect(await domain.topics("", 9)).toEqual([]);
    const grant = keyGrant();
    expect(await storedIn(topic)).toEqual({ keys: [], tables: [] });
    const first = await post(topic, {}, { messages: ["a"], grant });
    const reader = await open(topic, subscriber());
    await settle(topic);
    const last = await post(topic, {}, { messages: [], grant, ...LAST });
    expect(last).toMatchObject({ cursor: cursorOf(first), count: 0, subscribers: 1 });
    expect(await reader.next()).toEqual(FINISHED);
  });

  test("17.14 sent again begins nothing, and is answered as before", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const only = { id: "only", messages: ["a"], ...LAST };
    const first = await post(topic, {}, only);
    expect(first).toMatchObject({ type: "published", count: 1, subscribers: 0 });
    await settle(topic);
    expect(await post(topic, {}, only)).toEqual(first);
    await atRest();
    expect(await domain.topics("", 9)).toEqual([]);
    expect((await topic.describe()).phase).toBe("vacant");
    expect(await postedTo(topic, {}, { ...only, messages: ["b"] })).toBe("id-reused");
    expect(await postedTo(topic, {}, { ...only, isFinish: false })).toBe("id-reused");
    expect((await storedIn(topic)).keys).toEqual(["finished"]);
  });

  test("17.14 meets a publisher's socket as any post does", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher());
    expect(await postedTo(topic, {}, { messages: [], ...LAST })).toBe("publisher-conflict");
  });
});

describe("a post that is the last one", () => {
  test("17.14 ends no shared topic, which is told with the remedy", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const policy = { publishers: "shared", tokenPublishers: true } as const;
    await post(topic, policy, { messages: ["a"] });
    const reader = await open(topic, subscriber());
    for (const grant of [keyGrant(), tokenGrant(Date.now() + 60_000)]) {
      const answer = await post(topic, policy, { messages: ["b"], grant, ...LAST });
      expect(answer).toMatchObject({
        type: "unpublished",
        problem: { slug: "topic-shared", detail: expect.stringContaining("exclusive") },
      });
    }
    await post(topic, policy, { messages: ["c"] });
    expect(await reader.next()).toBe("c");
  });

  test("17.14 by a token ends its topic", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const grant = tokenGrant(Date.now() + 60_000);
    const policy = { tokenPublishers: true };
    expect(await postedTo(topic, policy, { grant, ...LAST })).toBe("published");
    expect((await topic.describe()).phase).toBe("vacant");
  });
});
