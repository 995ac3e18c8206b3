/** What a domain's row may say of tokens. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { isLive, NO_TOKENS, TokenSettingsSchema } from "../../../src/core/token-settings.ts";

const ROW = { tokenIssuer: null, tokenSecret: null, tokenKeys: null };
const P256 = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const ED25519 = { kty: "OKP", crv: "Ed25519", x: "x" };
const [ONE, OTHER] = ["1".repeat(32), "2".repeat(32)];

function read(changes: object): unknown {
  return v.parse(TokenSettingsSchema, { ...ROW, ...changes });
}

describe("TokenSettingsSchema", () => {
  test("a domain that says nothing has no tokens", () => {
    expect(read({})).toEqual(NO_TOKENS);
  });

  test("13.9 passes on who issues and what signs, each secret with its end", () => {
    const issuer = "https://id.example";
    expect(
      read({
        tokenIssuer: issuer,
        tokenSecret: ONE,
        tokenSecretPrevious: OTHER,
        tokenSecretPreviousExpiresAtMs: 7,
      }),
    ).toEqual({
      issuer,
      secrets: [
        { text: ONE, expiresAtMs: null },
        { text: OTHER, expiresAtMs: 7 },
      ],
      keys: [],
    });
    expect(read({ tokenSecretPrevious: OTHER, tokenSecretExpiresAtMs: 7 })).toMatchObject({
      secrets: [{ text: OTHER, expiresAtMs: null }],
    });
  });

  test.each(["tokenSecret", "tokenSecretPrevious"])(
    "refuses a secret of fewer than 32 characters: %s",
    (column) => {
      expect(() => read({ [column]: "s".repeat(31) })).toThrow();
      expect(read({ [column]: ONE })).toMatchObject({ secrets: [{ text: ONE }] });
    },
  );

  test("13.11 an entry that is of no use costs nothing but itself", () => {
    const others = ["text", null, 7, [], {}, { kty: "RSA", n: "n", e: "e" }, { ...P256, kid: 7 }];
    expect(read({ tokenKeys: { keys: [...others, ED25519, ...others] } })).toMatchObject({
      keys: [{ alg: "EdDSA", jwk: ED25519 }],
    });
    expect(read({ tokenKeys: { keys: others } })).toMatchObject({ keys: [] });
  });

  test.each([
    ["a private key among good ones", { keys: [ED25519, { ...P256, d: "d" }] }],
    ["no set", []],
    ["a set without keys", {}],
    ["keys that are no list", { keys: {} }],
    ["a text", '{"keys":[]}'],
  ])("13.11 %s: none of the keys may be relied on, the secret may", (_, tokenKeys) => {
    expect(read({ tokenKeys, tokenSecret: ONE })).toEqual({
      issuer: null,
      secrets: [{ text: ONE, expiresAtMs: null }],
      keys: null,
    });
  });
});

test("13.9 what ends is live until then", () => {
  expect([null, 8, 7].map((expiresAtMs) => isLive({ expiresAtMs }, 7))).toEqual([
    true,
    true,
    false,
  ]);
});
