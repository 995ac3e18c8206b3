/** The header between edge and object: what one writes the other reads, and nothing else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatAdmission,
  parseAdmission,
  parseRefusal,
  type Admission,
} from "../../../src/core/admission.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";

describe("parseAdmission", () => {
  test("reads what formatAdmission wrote", () => {
    const policy = fc.constantFrom(DEFAULT_POLICY, { ...DEFAULT_POLICY, messagesPerSecond: 5 });
    const admission: fc.Arbitrary<Admission> = fc.oneof(
      fc.record({
        v: fc.constant(1 as const),
        role: fc.constant("publisher" as const),
        takeover: fc.boolean(),
        heartbeatSeconds: fc.option(fc.integer({ min: 1, max: 300 })),
        policy,
      }),
      fc.record({
        v: fc.constant(1 as const),
        role: fc.constant("subscriber" as const),
        policy: fc.option(policy),
      }),
    );
    fc.assert(
      fc.property(admission, (value) => {
        expect(parseAdmission(formatAdmission(value))).toEqual(value);
      }),
    );
  });

  test.each([
    null,
    "",
    "null",
    "{}",
    '{"v":2,"role":"subscriber","policy":null}',
    '{"role":"publisher"}',
  ])("throws on %j", (header) => {
    expect(() => parseAdmission(header)).toThrow();
  });
});

test("parseRefusal throws on what no object says", () => {
  expect(parseRefusal("topic-not-live")).toBe("topic-not-live");
  expect(() => parseRefusal("go-away")).toThrow();
  expect(() => parseRefusal(null)).toThrow();
});
