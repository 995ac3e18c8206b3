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
    const subprotocol = fc.constantFrom("wspubsub.v1", "wspubsub.raw", null);
    const grant = fc.record({
      keyId: fc.option(fc.nat()),
      expiresAtMs: fc.option(fc.nat()),
      checkedAtMs: fc.nat(),
    });
    const credential = { grant: fc.option(grant), isRechecked: fc.boolean() };
    const admission: fc.Arbitrary<Admission> = fc.oneof(
      fc.record({
        v: fc.constant(1 as const),
        role: fc.constant("publisher" as const),
        subprotocol,
        takeover: fc.boolean(),
        heartbeatSeconds: fc.option(fc.integer({ min: 1, max: 300 })),
        policy,
        ...credential,
      }),
      fc.record({
        v: fc.constant(1 as const),
        role: fc.constant("subscriber" as const),
        subprotocol,
        since: fc.option(fc.constantFrom("earliest", "-5", "k3x9q0v7h2ma-41")),
        gap: fc.constantFrom("skip", "close"),
        policy: fc.option(policy),
        ...credential,
      }),
    );
    fc.assert(
      fc.property(admission, (value) => {
        expect(parseAdmission(formatAdmission(value))).toEqual(value);
      }),
    );
  });

  test("reads one of version 0.1, which knew no stream and no log", () => {
    // eslint-disable-next-line no-unused-vars -- the names are what it lacked
    const { maxBacklogBytes, pathKeys, maxPublishers, maxSubscribers, ...policy } = DEFAULT_POLICY;
    const header = JSON.stringify({ v: 1, role: "subscriber", policy });
    expect(parseAdmission(header)).toEqual({
      v: 1,
      role: "subscriber",
      subprotocol: null,
      since: null,
      gap: "skip",
      grant: null,
      isRechecked: false,
      policy: DEFAULT_POLICY,
    });
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
