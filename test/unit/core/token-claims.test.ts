/** PROTOCOL.md, 13.3 and 13.4: what a verified token must say. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { audienceOf, readAccess, type TokenAction } from "../../../src/core/token-claims.ts";
import { NO_TOKENS } from "../../../src/core/token-settings.ts";

const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1000;
const ADDRESS = { domain: "acme & co", topic: "news/1" };
const DETAIL = { type: "wspubsub", actions: ["subscribe"], topics: ["news/*"] };
const CLAIMS = {
  aud: "wspubsub:acme%20%26%20co",
  sub: "user",
  exp: NOW + 60,
  authorization_details: [DETAIL],
};

function read(
  changes: Record<string, unknown>,
  issuer: string | null = null,
  action: TokenAction = "subscribe",
): ReturnType<typeof readAccess> {
  const asked = { address: ADDRESS, action };
  return readAccess({ ...CLAIMS, ...changes }, asked, { ...NO_TOKENS, issuer }, NOW_MS);
}

describe("readAccess", () => {
  test("13.3 opens until exp", () => {
    expect(audienceOf(ADDRESS.domain)).toBe(CLAIMS.aud);
    expect(read({})).toEqual({
      ok: true,
      value: { subject: "user", expiresAtMs: NOW_MS + 60_000 },
    });
  });

  test.each([
    ["aud in a list", { aud: ["other", CLAIMS.aud] }],
    ["an issuer that nobody asks for", { iss: "anyone" }],
    ["nbf and iat a little ahead", { nbf: NOW + 60, iat: NOW + 60 }],
    ["details of other types beside", { authorization_details: [{ type: "payment" }, DETAIL] }],
    ["members it does not know", { scope: "all", authorization_details: [{ ...DETAIL, x: 1 }] }],
    ["fractions of a second", { exp: NOW + 0.5 }],
    ["a subject of 256 characters", { sub: "s".repeat(256) }],
    ["100 details", { authorization_details: Array.from({ length: 100 }, () => DETAIL) }],
    [
      "1,000 topics",
      { authorization_details: [{ ...DETAIL, topics: Array(1000).fill("news/1") }] },
    ],
  ])("13.3 13.4 takes %s", (_, changes) => {
    expect(read(changes).ok).toBe(true);
  });

  test.each([
    ["another audience", { aud: "wspubsub:other" }],
    ["an audience that begins alike", { aud: `${CLAIMS.aud}/other` }],
    ["a list of other audiences", { aud: ["other", `${CLAIMS.aud}2`] }],
    ["an empty list of audiences", { aud: [] }],
    ["no audience", { aud: undefined }],
    ["an audience that is no text", { aud: [1] }],
    ["no subject", { sub: undefined }],
    ["an empty subject", { sub: "" }],
    ["a subject of 257 characters", { sub: "s".repeat(257) }],
    ["a subject that is no text", { sub: 1 }],
    ["no end", { exp: undefined }],
    ["an end that is a text", { exp: String(NOW + 60) }],
    ["an end that is not finite", { exp: Infinity }],
    ["an end that has come", { exp: NOW }],
    ["a beginning to come", { nbf: NOW + 61 }],
    ["a making to come", { iat: NOW + 61 }],
    ["a beginning that is a text", { nbf: String(NOW) }],
    ["a beginning that is null", { nbf: null }],
    ["a making that is a text", { iat: String(NOW) }],
    ["no details", { authorization_details: undefined }],
    ["empty details", { authorization_details: [] }],
    ["details that are no list", { authorization_details: DETAIL }],
    ["another type", { authorization_details: [{ ...DETAIL, type: "other" }] }],
    ["another action", { authorization_details: [{ ...DETAIL, actions: ["publish"] }] }],
    ["other topics", { authorization_details: [{ ...DETAIL, topics: ["news", "new*s/1"] }] }],
    ["topics that are no list", { authorization_details: [{ ...DETAIL, topics: "*" }] }],
    [
      "topics of which one is no text",
      { authorization_details: [{ ...DETAIL, topics: ["*", 1] }] },
    ],
    [
      "1,001 topics",
      { authorization_details: [{ ...DETAIL, topics: Array(1001).fill("news/1") }] },
    ],
    ["actions that are a text", { authorization_details: [{ ...DETAIL, actions: "subscribe" }] }],
    ["too many details", { authorization_details: Array.from({ length: 101 }, () => DETAIL) }],
  ])("13.3 13.4 refuses %s", (_, changes) => {
    expect(read(changes).ok).toBe(false);
  });

  const ELSEWHERE = ["other", "news"];
  test.each([
    ["subscribe", [["subscribe"]], "ok", "action"],
    ["publish", [["publish"]], "action", "ok"],
    ["both", [["subscribe", "publish"]], "ok", "ok"],
    ["both, in two details", [["publish"], ["subscribe"]], "ok", "ok"],
    ["neither", [["delete"]], "claims", "claims"],
    ["nothing", [[]], "claims", "claims"],
    ["publish, and subscribe elsewhere", [["publish"], ["subscribe"], ELSEWHERE], "action", "ok"],
    ["subscribe, and publish elsewhere", [["subscribe"], ["publish"], ELSEWHERE], "ok", "action"],
    ["both elsewhere", [[], ["publish", "subscribe"], ELSEWHERE], "claims", "claims"],
  ])(
    "13.12 an action counts for the topics of its own detail: %s",
    (_, [first = [], second = [], topics = DETAIL.topics], subscribe, publish) => {
      const details = [
        { ...DETAIL, actions: first },
        { ...DETAIL, actions: second, topics },
      ];
      const outcome = (action: TokenAction): string => {
        const access = read({ authorization_details: details }, null, action);
        return access.ok ? "ok" : access.cause;
      };
      expect([outcome("subscribe"), outcome("publish")]).toEqual([subscribe, publish]);
    },
  );

  test("13.12 what is wrong besides is told first, and that it has expired last", () => {
    expect(read({ aud: "other" }, null, "publish")).toMatchObject({ cause: "claims" });
    expect(read({ exp: NOW }, null, "publish")).toMatchObject({ cause: "action" });
  });

  test("13.6 says that it has expired only where all else is well", () => {
    expect(read({ exp: NOW })).toMatchObject({ ok: false, cause: "expired" });
    expect(read({ exp: NOW, nbf: NOW + 61 })).toMatchObject({ ok: false, cause: "claims" });
    expect(read({ exp: NOW }, "ours")).toMatchObject({ ok: false, cause: "issuer" });
  });

  test("13.3 the issuer must be the domain's, where it has one", () => {
    expect(read({ iss: "https://id.example" }, "https://id.example").ok).toBe(true);
    expect(read({ iss: "https://other.example" }, "https://id.example").ok).toBe(false);
    expect(read({}, "https://id.example").ok).toBe(false);
  });

  test("13.3 a token without a sane end holds for 30 days", () => {
    const expiresAtMs = NOW_MS + 30 * 86_400_000;
    expect(read({ exp: 1e300 })).toEqual({ ok: true, value: { subject: "user", expiresAtMs } });
  });

  test("whatever it says, it opens or is refused with a reason that repeats nothing", () => {
    const marker = "do-not-repeat-me";
    const value = fc.oneof(fc.anything(), fc.constant(marker), fc.constant([marker]));
    const claims = fc.record(
      {
        iss: value,
        aud: value,
        sub: value,
        exp: value,
        nbf: value,
        iat: value,
        authorization_details: value,
      },
      { requiredKeys: [] },
    );
    const asked = { address: ADDRESS, action: "publish" } as const;
    fc.assert(
      fc.property(fc.oneof(claims, fc.anything()), (payload) => {
        const access = readAccess(payload, asked, NO_TOKENS, NOW_MS);
        expect(access.ok ? "" : access.error).not.toContain(marker);
      }),
    );
  });
});
