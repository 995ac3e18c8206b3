/** What a domain's row may say of tokens. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { NO_TOKENS, TokenSettingsSchema } from "../../../src/core/token-settings.ts";

const ROW = { tokenIssuer: null, tokenSecret: null, tokenKeys: null };
const P256 = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const ED25519 = { kty: "OKP", crv: "Ed25519", x: "x" };

function keysOf(...keys: object[]): readonly unknown[] {
  return v.parse(TokenSettingsSchema, { ...ROW, tokenKeys: { keys } }).keys;
}

describe("TokenSettingsSchema", () => {
  test("a domain that says nothing has no tokens", () => {
    expect(v.parse(TokenSettingsSchema, ROW)).toEqual(NO_TOKENS);
  });

  test("passes on who issues and what signs", () => {
    const [issuer, secret] = ["https://id.example", "s".repeat(32)];
    expect(
      v.parse(TokenSettingsSchema, { ...ROW, tokenIssuer: issuer, tokenSecret: secret }),
    ).toEqual({ issuer, secret, keys: [] });
  });

  test("binds each key to its algorithm, and takes no more of it than the key", () => {
    expect(keysOf({ ...P256, kid: "1", use: "sig", ext: true }, ED25519)).toEqual([
      { alg: "ES256", kid: "1", jwk: P256 },
      { alg: "EdDSA", kid: null, jwk: ED25519 },
    ]);
  });

  test("takes a key that names its own algorithm, Ed25519 in both spellings", () => {
    const algorithms = keysOf(
      { ...P256, alg: "ES256" },
      { ...ED25519, alg: "EdDSA" },
      // RFC 9864, section 2.2, names the curve.
      { ...ED25519, alg: "Ed25519" },
    ).map((key) => (key as { alg: string }).alg);
    expect(algorithms).toEqual(["ES256", "EdDSA", "EdDSA"]);
  });

  test("leaves keys of other types and for other uses out", () => {
    const others = [
      { kty: "RSA", n: "n", e: "e" },
      { ...P256, crv: "P-384" },
      { ...P256, use: "enc" },
      { ...P256, alg: "ES384" },
      { ...P256, alg: "EdDSA" },
      { ...ED25519, crv: "X25519" },
      { ...ED25519, use: "enc" },
      { ...ED25519, alg: "ES256" },
      { ...ED25519, alg: "HS256" },
      { kty: "EC", crv: "P-256" },
    ];
    expect(keysOf(...others)).toEqual([]);
  });

  test.each([
    ["a private P-256 key", { ...P256, d: "d" }],
    ["a private Ed25519 key", { ...ED25519, d: "d" }],
    ["a private RSA key", { kty: "RSA", n: "n", e: "e", d: "d" }],
    ["a private key for another use", { ...P256, use: "enc", d: "d" }],
    ["a secret", { kty: "oct", k: "k" }],
  ])("refuses %s", (_, key) => {
    expect(() => keysOf(key)).toThrow();
  });

  test.each([
    ["no set", []],
    ["a set without keys", {}],
    ["a text", '{"keys":[]}'],
  ])("refuses %s", (_, tokenKeys) => {
    expect(v.is(TokenSettingsSchema, { ...ROW, tokenKeys })).toBe(false);
  });

  test("one private key spoils the set", () => {
    expect(() => keysOf(ED25519, { ...P256, d: "d" })).toThrow();
  });

  test("refuses a secret of fewer than 32 characters", () => {
    const [short, long] = ["s".repeat(31), "s".repeat(32)];
    expect(() => v.parse(TokenSettingsSchema, { ...ROW, tokenSecret: short })).toThrow();
    expect(v.parse(TokenSettingsSchema, { ...ROW, tokenSecret: long }).secret).toBe(long);
  });
});
