/** The header between edge and object: what one writes the other reads, and nothing else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatAdmission,
  formatAnswer,
  parseAdmission,
  parseAnswer,
  REFUSAL_HEADER,
  type Admission,
  type Answer,
  type SubscriberAdmission,
} from "../../../src/core/admission.ts";
import type { Grant } from "../../../src/core/grant.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import { ADDED_SINCE_0_1 } from "../../support/policy-values.ts";

describe("parseAdmission", () => {
  test("reads what formatAdmission wrote", () => {
    const policy = fc.constantFrom(DEFAULT_POLICY, { ...DEFAULT_POLICY, messagesPerSecond: 5 });
    const subprotocol = fc.constantFrom("wspubsub.v1", "wspubsub.raw", null);
    const grant = fc.record({
      keyId: fc.option(fc.nat()),
      subject: fc.option(fc.string({ unit: "binary" }).map((text) => text.toWellFormed())),
      expiresAtMs: fc.option(fc.nat()),
      checkedAtMs: fc.nat(),
    });
    const credential = {
      policyAtMs: fc.nat(),
      grant: fc.option(grant),
      isFresh: fc.boolean(),
      isRechecked: fc.boolean(),
    };
    const place = fc.record({ country: fc.constantFrom("AT", "T1") }, { requiredKeys: [] });
    const wait = fc.record({
      seconds: fc.integer({ min: 1, max: 60 }),
      client: fc.integer({ min: 0, max: 65_535 }),
    });
    const waits = fc.record({ wait }, { requiredKeys: [] });
    const subscriber: fc.Arbitrary<SubscriberAdmission> = fc.record({
      v: fc.constant(1 as const),
      role: fc.constant("subscriber" as const),
      subprotocol,
      since: fc.option(fc.constantFrom("earliest", "-5", "k3x9q0v7h2ma-41")),
      gap: fc.constantFrom("skip", "close"),
      policy: fc.option(policy),
      ...credential,
    });
    const admission: fc.Arbitrary<Admission> = fc.oneof(
      fc.record({
        v: fc.constant(1 as const),
        role: fc.constant("publisher" as const),
        subprotocol,
        takeover: fc.boolean(),
        heartbeatSeconds: fc.option(fc.integer({ min: 1, max: 300 })),
        policy,
        isKeyInPath: fc.boolean(),
        ...credential,
      }),
      fc.tuple(subscriber, waits).map(([said, waiting]) => ({ ...said, ...waiting })),
    );
    fc.assert(
      fc.property(admission, place, (other, where) => {
        const value = { ...other, ...where };
        const header = formatAdmission(value);
        expect(header).toMatch(/^[ -~]*$/);
        expect(parseAdmission(header)).toEqual(value);
      }),
    );
  });

  test("reads one of version 0.1, which knew no stream and no log", () => {
    const policy = Object.fromEntries(
      Object.entries(DEFAULT_POLICY).filter(([name]) => !ADDED_SINCE_0_1.includes(name)),
    );
    const header = JSON.stringify({ v: 1, role: "subscriber", policy });
    expect(parseAdmission(header)).toEqual({
      v: 1,
      role: "subscriber",
      subprotocol: null,
      since: null,
      gap: "skip",
      grant: null,
      isFresh: false,
      isRechecked: false,
      policy: DEFAULT_POLICY,
      policyAtMs: 0,
    });
  });

  test("reads one of the version before, whose policy is as old as its grant", () => {
    const grant = { keyId: 1, expiresAtMs: null, checkedAtMs: 5 };
    const base = { v: 1, role: "publisher", takeover: false, heartbeatSeconds: null };
    const header = JSON.stringify({ ...base, policy: DEFAULT_POLICY, grant, isRechecked: true });
    const read = parseAdmission(header);
    expect(read).toMatchObject({ policyAtMs: 5, isFresh: true, isKeyInPath: false });
    expect(read.grant).toEqual({ ...grant, subject: null });
  });

  test("13.12 one of a publisher by a token cannot be read by an object of the version before", () => {
    const base = { v: 1, role: "publisher", takeover: false, heartbeatSeconds: null };
    const versionOf = (grant: Grant | null): unknown => {
      const admission = parseAdmission(JSON.stringify({ ...base, policy: DEFAULT_POLICY, grant }));
      const header = formatAdmission(admission);
      expect(parseAdmission(header)).toEqual(admission);
      return (JSON.parse(header) as { v: unknown }).v;
    };
    const key = { keyId: 1, subject: null, expiresAtMs: null, checkedAtMs: 5 };
    expect(versionOf({ ...key, keyId: null, subject: "user" })).toBe(2);
    expect(versionOf(key)).toBe(1);
    expect(versionOf(null)).toBe(1);
  });

  test("is read by an object of the version before", () => {
    const written: unknown = JSON.parse(
      formatAdmission({
        ...parseAdmission('{"v":1,"role":"subscriber","policy":null}'),
        isRechecked: true,
      }),
    );
    expect(written).toMatchObject({ v: 1, isRechecked: true });
  });

  test.each([
    null,
    "",
    "null",
    "{}",
    '{"v":2,"role":"subscriber","policy":null}',
    '{"role":"publisher"}',
    '{"v":1,"role":"subscriber","policy":null,"wait":{"seconds":0,"client":1}}',
    '{"v":1,"role":"subscriber","policy":null,"wait":{"seconds":61,"client":1}}',
    '{"v":1,"role":"subscriber","policy":null,"wait":{"seconds":1,"client":65536}}',
  ])("throws on %j", (header) => {
    expect(() => parseAdmission(header)).toThrow();
  });
});

describe("an answer", () => {
  test.each([
    [{ type: "needs", what: "policy" }, "policy-needed"],
    [{ type: "needs", what: "recheck" }, "key-stale"],
    [{ type: "refused", slug: "publisher-conflict" }, "publisher-conflict"],
    [{ type: "refused", slug: "key-rejected" }, "topic-unavailable"],
    [{ type: "refused", slug: "key-in-path" }, "topic-unavailable"],
    [{ type: "refused", slug: "token-expired" }, "topic-unavailable"],
  ] as const)("%j is read again, and as %s by the version before", (answer: Answer, before) => {
    const headers = new Headers(formatAnswer(answer));
    expect(parseAnswer(headers)).toEqual(answer);
    expect(headers.get(REFUSAL_HEADER)).toBe(before);
  });

  test.each([
    ["policy-needed", { type: "needs", what: "policy" }],
    ["key-stale", { type: "needs", what: "recheck" }],
    ["topic-not-live", { type: "refused", slug: "topic-not-live" }],
    ["of a version to come", { type: "refused", slug: "topic-unavailable" }],
  ])("of the version before, %s, is understood", (refusal, answer) => {
    expect(parseAnswer(new Headers({ [REFUSAL_HEADER]: refusal }))).toEqual(answer);
  });

  test.each(['{"type":"refused","slug":"go-away"}', '{"type":"maybe"}', "nonsense"])(
    "of a version to come, %s, says no more than that nobody was admitted",
    (text) => {
      const answer = parseAnswer(new Headers({ "wspubsub-answer": text }));
      expect(answer).toEqual({ type: "refused", slug: "topic-unavailable" });
    },
  );
});
