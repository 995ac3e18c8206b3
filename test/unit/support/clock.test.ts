/** The equipment itself: a clock that is set, and alarms that fire when they are due. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { Clock } from "../../support-in-workerd/clock.ts";
import { failNextAlarm } from "../../support-in-workerd/faults.ts";
import { keyGrant } from "./grants.ts";
import { open, publisher } from "./sockets.ts";
import { evict, freshDomain, wake } from "./topics.ts";

const HOUR_MS = 3_600_000;

describe("what a clock shows", () => {
  test("stands still, in the future, wherever it is asked for", async () => {
    const realMs = Date.now();
    const { domain } = freshDomain();
    {
      using clock = new Clock();
      expect(clock.nowMs).toBeGreaterThan(realMs);
      await wake(domain);
      const seen = await runInDurableObject(domain, () => [Date.now(), Number(new Date())]);
      expect(seen).toEqual([clock.nowMs, clock.nowMs]);
      await clock.advance(5 * HOUR_MS);
      expect(new Date(Date.now()).getTime() - realMs).toBeGreaterThanOrEqual(6 * HOUR_MS);
      expect(new Date(0).toISOString()).toBe("1970-01-01T00:00:00.000Z");
      expect(new Date()).toBeInstanceOf(Date);
    }
    expect(Math.abs(Date.now() - realMs)).toBeLessThan(HOUR_MS / 2);
  });

  test("begins where it is told to, and is set", () => {
    using clock = new Clock({ startMs: 1_000 });
    expect(Date.now()).toBe(1_000);
    clock.set(7);
    expect(Date.now()).toBe(7);
  });

  test("goes on by itself, if it is to", async () => {
    const realMs = Date.now();
    using clock = new Clock({ isRunning: true });
    expect(clock.nowMs - realMs).toBeLessThan(HOUR_MS / 2);
    await clock.advance(HOUR_MS);
    const before = Date.now();
    expect(before - realMs).toBeGreaterThanOrEqual(HOUR_MS);
    while (Date.now() === before) await wake(freshDomain().domain);
    expect(Date.now()).toBeGreaterThan(before);
  });
});

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted in between", settle: evict },
])("alarms, $name", ({ settle }) => {
  test("fire in the order in which they are due, those they set too, and no others", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const startMs = clock.nowMs;
    const grant = keyGrant({ expiresAtMs: startMs + HOUR_MS });
    const [early, late] = [topicOf("early"), topicOf("late")];
    const stays = await open(late, publisher({ publishers: "shared" }, { grant }));
    const goes = await open(
      early,
      publisher({ publishers: "shared" }, { grant: { ...grant, expiresAtMs: startMs + 60_000 } }),
    );
    await domain.issueTicket("hash", "early", grant);
    for (const object of [domain, early, late]) await settle(object);
    const firings = await clock.advance(HOUR_MS - 1, domain, late, early);
    expect(firings.every(({ error }) => error === null)).toBe(true);
    const names = firings.map(({ object }) => object);
    expect([...new Set(names)]).toEqual([domain.name, early.name]);
    const times = firings.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(clock.nowMs).toBe(startMs + HOUR_MS - 1);
    expect(await goes.next()).toEqual({ code: 4501, reason: "key-rejected" });
    expect(await late.describe()).toMatchObject({ publishers: 1 });
    await settle(late);
    await clock.advanceTo(startMs + HOUR_MS, late);
    expect(await stays.next()).toEqual({ code: 4501, reason: "key-rejected" });
  });

  test("one that fails is repeated after 2, 4 and more seconds, seven times in all", async () => {
    const { domain } = freshDomain();
    using clock = new Clock();
    await domain.issueTicket("hash", "topic", keyGrant());
    failNextAlarm(domain, { times: 2 });
    await settle(domain);
    const firings = await clock.advance(HOUR_MS, domain);
    const [first] = firings;
    expect(firings.map(({ atMs, error }) => [atMs - (first?.atMs ?? 0), error === null])).toEqual([
      [0, false],
      [2_000, false],
      [6_000, true],
    ]);
    await domain.issueTicket("again", "topic", keyGrant());
    failNextAlarm(domain, { times: Infinity });
    expect(await clock.advance(HOUR_MS, domain)).toHaveLength(7);
  });

  test("one that fails when it has set another is not repeated before", async () => {
    const { domain } = freshDomain();
    using clock = new Clock();
    const grant = keyGrant();
    await domain.issueTicket("one", "topic", grant);
    await clock.advance(10_000, domain);
    await domain.issueTicket("two", "topic", grant);
    failNextAlarm(domain, { isDone: true });
    await settle(domain);
    const [first, second] = await clock.advance(HOUR_MS, domain);
    expect(first?.error?.message).toBe("The alarm fails");
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBe(10_000);
  });
});
