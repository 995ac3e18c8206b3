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
