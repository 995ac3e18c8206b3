/** PROTOCOL.md, 14.2: how fast a publisher may send. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageRate } from "../../../src/topic/message-rate.ts";

const NOW = 1_000_000;

describe("MessageRate", () => {
  test("a second's worth passes at once, what is over it does not", () => {
    const rate = new MessageRate();
    for (let n = 0; n < 5; n++) expect(rate.take(1, 5, NOW).type).toBe("within");
    expect(rate.take(1, 5, NOW)).toEqual({ type: "over", retryAfterSeconds: 1 });
    expect(rate.take(1, 5, NOW + 200).type).toBe("within");
    expect(rate.take(1, 5, NOW + 200).type).toBe("over");
  });

  test("more than a second's worth in one frame passes when nothing was sent, and is paid for", () => {
    const rate = new MessageRate();
    expect(rate.take(50, 5, NOW).type).toBe("within");
    expect(rate.take(1, 5, NOW + 9000)).toEqual({ type: "over", retryAfterSeconds: 1 });
    expect(rate.take(1, 5, NOW + 9200).type).toBe("within");
  });

  test("who goes on in vain is ignored after a thousand messages", () => {
    const rate = new MessageRate();
    rate.take(5, 5, NOW);
    for (let n = 0; n < 10; n++) expect(rate.take(100, 5, NOW).type).toBe("over");
    expect(rate.take(1, 5, NOW).type).toBe("ignored");
  });

  test("who calms down is told anew", () => {
    const rate = new MessageRate();
    rate.take(5, 5, NOW);
    for (let n = 0; n < 10; n++) rate.take(100, 5, NOW);
    expect(rate.take(5, 5, NOW + 1000).type).toBe("within");
    expect(rate.take(100, 5, NOW + 1000).type).toBe("over");
  });

  test("who is slightly over its rate is told each time, and never ignored", () => {
    const rate = new MessageRate();
    let [passed, refused] = [0, 0];
    for (let ms = 0; ms < 120_000; ms += 4) {
      const { type } = rate.take(1, 200, NOW + ms);
      expect(type).not.toBe("ignored");
      if (type === "within") passed += 1;
      else refused += 1;
    }
    expect(refused).toBeGreaterThan(5000);
    expect(passed).toBeGreaterThan(23_000);
  });

  test("who sends many times its rate is ignored, though some of it passes", () => {
    const rate = new MessageRate();
    let sent = 0;
    while (rate.take(1, 5, NOW + sent).type !== "ignored") sent += 1;
    expect(sent).toBeGreaterThan(1000);
    expect(sent).toBeLessThan(1100);
  });

  test("a debt outlives the bucket, and is paid by time alone", () => {
    const rate = new MessageRate();
    rate.take(5, 5, NOW);
    expect(rate.isInDebt(NOW)).toBe(false);
    expect(rate.fullAtMs).toBe(NOW + 1000);
    rate.take(55, 5, NOW + 1000);
    expect(rate.isInDebt(NOW + 1000)).toBe(true);
    const after = new MessageRate(rate.fullAtMs);
    expect(after.take(1, 5, NOW + 5000)).toEqual({ type: "over", retryAfterSeconds: 7 });
    expect(after.take(1, 5, NOW + 11_199).type).toBe("over");
    expect(after.take(1, 5, NOW + 11_200).type).toBe("within");
    expect(after.isInDebt(NOW + 11_200)).toBe(false);
  });

  test("a rate that is changed changes what a debt takes", () => {
    const rate = new MessageRate();
    rate.take(1005, 5, NOW);
    expect(rate.take(1, 1000, NOW)).toEqual({ type: "over", retryAfterSeconds: 1 });
    expect(rate.take(1, 1000, NOW + 6).type).toBe("within");
  });

  test("who asks often waits no longer, whatever the rate", () => {
    for (const perSecond of [3, 7, 11, 999]) {
      const rate = new MessageRate();
      for (let n = 0; n < perSecond; n++) rate.take(1, perSecond, NOW);
      for (let ms = 1; ms < 1000; ms += 37) {
        expect(rate.take(perSecond, perSecond, NOW + ms).type).not.toBe("within");
      }
      expect(rate.take(perSecond, perSecond, NOW + 1000).type).toBe("within");
    }
  });

  test("is empty while not even one message passes", () => {
    const rate = new MessageRate();
    expect(rate.isEmpty(5, NOW)).toBe(false);
    rate.take(5, 5, NOW);
    expect(rate.isEmpty(5, NOW + 199)).toBe(true);
    expect(rate.isEmpty(5, NOW + 200)).toBe(false);
  });

  test("a clock that is set back does no harm", () => {
    const rate = new MessageRate();
    rate.take(5, 5, NOW);
    expect(rate.take(1, 5, NOW - 60_000).type).toBe("over");
    expect(rate.take(1, 5, NOW - 60_000 + 200).type).toBe("within");
  });

  test("in the long run nobody sends more than the rate", () => {
    const steps = fc.array(fc.record({ count: fc.integer({ min: 1, max: 30 }), ms: fc.nat(500) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), steps, (perSecond, sends) => {
        const rate = new MessageRate();
        let [passed, atMs, largest] = [0, NOW, 0];
        for (const { count, ms } of sends) {
          atMs += ms;
          if (rate.take(count, perSecond, atMs).type !== "within") continue;
          passed += count;
          largest = Math.max(largest, count);
        }
        const allowed = perSecond + (perSecond * (atMs - NOW)) / 1000 + largest;
        expect(passed).toBeLessThanOrEqual(allowed);
      }),
    );
  });
});
