/**
 * PROTOCOL.md, 12.2 and 13.6, on the object itself: whose key or token has ended when it comes. A ticket may be presented
 * after that, and a join may wait for the domain. Every test runs twice, the second time with the topic evicted between
 * its steps.
 */
import { describe, expect, test } from "vitest";
import { formatAdmission } from "../../../src/core/admission.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { callsOf, holdNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { postedTo } from "../support/posts.ts";
import { answerOf, ask, open, publisher, subscriber } from "../support/sockets.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("grants that have ended, $name", ({ settle }) => {
  test("12.2 13.6 who comes when its key or token has ended is refused, and leaves nothing", async () => {
    using clock = new Clock();
    const { domain, topic: topicOf } = freshDomain();
    const policy = { publishers: "shared", tokenPublishers: true } as const;
    const live = topicOf("live");
    await open(live, publisher(policy));
    const untilMs = clock.nowMs + 1000;
    const [token, key] = [tokenGrant(untilMs), keyGrant({ expiresAtMs: untilMs })];
    clock.set(untilMs - 1);
    for (const grant of [token, key]) await open(live, subscriber(policy, { grant }));
    const calls = callsOf(domain).length;
    clock.set(untilMs);
    for (const topic of [live, topicOf("vacant")]) {
      await settle(topic);
      for (const join of [publisher, subscriber]) {
        expect(await answerOf(ask(topic, join(policy, { grant: token })))).toBe("token-expired");
      }
      expect(callsOf(domain)).toHaveLength(calls);
    }
    for (const join of [publisher, subscriber]) {
      expect(await answerOf(ask(live, join(policy, { grant: key })))).toBe("key-rejected");
    }
    expect(await live.describe()).toMatchObject({ publishers: 1, subscribers: 2 });
    for (const [grant, slug] of [
      [token, "token-expired"],
      [key, "key-rejected"],
    ] as const) {
      expect(await postedTo(live, policy, { grant })).toBe(slug);
      const reader = formatAdmission(subscriber(policy, { grant }));
      expect(await live.page(reader, 1)).toEqual({ type: "refused", slug });
    }
  });

  test("13.6 a token that ends while the domain is told of its topic opens nothing", async () => {
    using clock = new Clock();
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const grant = tokenGrant(clock.nowMs + 1000);
    using held = holdNextCall(domain);
    const answer = answerOf(ask(topic, publisher({ tokenPublishers: true }, { grant })));
    await held.reached();
    clock.set(clock.nowMs + 1000);
    held.release();
    expect(await answer).toBe("token-expired");
    expect(await domain.topics("", 9)).toEqual([]);
  });

  test("12.7 a key that was prolonged meanwhile opens, though its grant has ended", async () => {
    using clock = new Clock();
    const { domain, topic: topicOf } = freshDomain();
    const grant = keyGrant({ expiresAtMs: clock.nowMs + 1000, checkedAtMs: clock.nowMs });
    const prolonged = { type: "live", expiresAtMs: clock.nowMs + 60_000 } as const;
    await domain.changeKey(1, prolonged, clock.nowMs + 1, false);
    clock.set(clock.nowMs + 1000);
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant }));
    await settle(topic);
    const reader = await open(topic, subscriber(null, { grant }));
    source.send("prolonged");
    expect(await reader.next()).toBe("prolonged");
  });
});
