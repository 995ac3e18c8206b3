/** What counts of two words of the key store: the newer, by its clock; and where that is in doubt it is asked. */
import { describe, expect, test } from "vitest";
import { HELD_AT_MS, type KeyChange } from "../../../src/core/change.ts";
import { mayPrecede } from "../../../src/core/clock.ts";
import type { Grant } from "../../../src/core/grant.ts";
import { isSamePolicy, judgeGrant, judgePolicy } from "../../../src/core/judge.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";

const AT = 1_000_000;
const NOW = 5_000_000;

function grantOf(checkedAtMs: number, expiresAtMs: number | null = null): Grant {
  return { keyId: 1, subject: null, expiresAtMs, checkedAtMs };
}

function changeOf(standing: KeyChange["standing"], atMs: number = AT): KeyChange {
  return { type: "key", keyId: 1, standing, atMs, number: 1 };
}

test("two answers within two seconds may have been given in the other order", () => {
  expect(mayPrecede(AT, AT)).toBe(true);
  expect(mayPrecede(AT + 2000, AT)).toBe(true);
  expect(mayPrecede(AT + 2001, AT)).toBe(false);
  expect(mayPrecede(AT - 3_600_000, AT)).toBe(true);
});

describe("judgeGrant", () => {
  const dead = changeOf({ type: "dead" });
  test.each([
    ["an hour older", AT - 3_600_000, false, "doubtful"],
    ["an hour older, fresh: asked before it died", AT - 3_600_000, true, "doubtful"],
    ["of the same moment", AT, true, "doubtful"],
    ["a little newer, out of a cache", AT + 2000, false, "doubtful"],
    ["a little newer, fresh", AT + 1, true, "good"],
    ["newer, out of a cache", AT + 2001, false, "good"],
  ] as const)("12.9 of a key that died, %s", (_, checkedAtMs, isFresh, verdict) => {
    expect(judgeGrant(grantOf(checkedAtMs), dead, isFresh, NOW).type).toBe(verdict);
  });

  test("15.5 of a key whose revocation is held: nothing opens it, however fresh", () => {
    const held = changeOf({ type: "dead" }, HELD_AT_MS);
    expect(judgeGrant(grantOf(NOW), held, true, NOW)).toEqual({ type: "dead" });
  });

  test.each([
    ["shortened", NOW + 1000, null],
    ["prolonged", NOW + 9000, NOW + 1000],
    ["made endless", null, NOW + 1000],
  ])("12.7 an older grant of a key that was %s takes its new end", (_, expiresAtMs, oldEnd) => {
    const change = changeOf({ type: "live", expiresAtMs });
    const grant = { ...grantOf(AT), expiresAtMs, checkedAtMs: AT };
    expect(judgeGrant(grantOf(AT - 5, oldEnd), change, false, NOW)).toEqual({
      type: "good",
      grant,
    });
  });

  test("12.7 an older grant of a key that was shortened to a time that has come opens nothing", () => {
    const change = changeOf({ type: "live", expiresAtMs: NOW });
    expect(judgeGrant(grantOf(AT - 5), change, true, NOW)).toEqual({ type: "dead" });
    expect(judgeGrant(grantOf(AT - 5), change, true, NOW - 1).type).toBe("good");
  });

  test.each([
    ["fresh", AT + 1, true, "good"],
    ["out of a cache", AT + 2000, false, "doubtful"],
    ["clearly newer", AT + 2001, false, "good"],
  ] as const)("a newer grant with another end, %s", (_, checkedAtMs, isFresh, verdict) => {
    const change = changeOf({ type: "live", expiresAtMs: NOW + 9000 });
    const grant = grantOf(checkedAtMs, NOW + 1000);
    const judged = judgeGrant(grant, change, isFresh, NOW);
    expect(judged).toEqual(verdict === "good" ? { type: verdict, grant } : { type: verdict });
    // With the same end there is nothing to ask.
    expect(judgeGrant(grantOf(checkedAtMs, NOW + 9000), change, false, NOW).type).toBe("good");
  });
});

describe("judgePolicy", () => {
  const known = { policy: DEFAULT_POLICY, atMs: AT };
  const other: Policy = { ...DEFAULT_POLICY, maxSubscribers: 5 };
  test.each([
    ["older", AT - 1, true, known],
    ["of the same moment", AT, true, known],
    ["newer by a little, out of a cache", AT + 2000, false, null],
    ["newer by a little, fresh", AT + 1, true, { policy: other, atMs: AT + 1 }],
    ["clearly newer", AT + 2001, false, { policy: other, atMs: AT + 2001 }],
  ] as const)("16.2 another policy, %s", (_, atMs, isFresh, judged) => {
    expect(judgePolicy(known, { policy: other, atMs }, isFresh)).toEqual(judged);
  });

  test("16.2 the same policy is as new as the newer word of it", () => {
    const same = { ...DEFAULT_POLICY };
    expect(judgePolicy(known, { policy: same, atMs: AT + 5 }, false)?.atMs).toBe(AT + 5);
    expect(judgePolicy(known, { policy: same, atMs: AT - 5 }, false)?.atMs).toBe(AT);
    expect(judgePolicy(null, { policy: other, atMs: 5 }, false)).toEqual({
      policy: other,
      atMs: 5,
    });
  });

  test("policies are the same whatever the order of their members", () => {
    const reversed = Object.fromEntries(Object.entries(DEFAULT_POLICY).toReversed());
    expect(isSamePolicy(DEFAULT_POLICY, reversed as unknown as Policy)).toBe(true);
    for (const [name, value] of Object.entries(DEFAULT_POLICY)) {
      expect(isSamePolicy(DEFAULT_POLICY, { ...DEFAULT_POLICY, [name]: `not ${value}` })).toBe(
        false,
      );
    }
  });
});
