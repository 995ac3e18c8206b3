/** PROTOCOL.md, 13.11: what an entry of a JWK Set is good for. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameJwk, readJwk } from "../../../src/core/jwk.ts";

const P256 = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const ED25519 = { kty: "OKP", crv: "Ed25519", x: "x" };

describe("readJwk", () => {
  test("binds each key to its algorithm, and takes no more of it than the key", () => {
    expect(readJwk({ ...P256, kid: "1", use: "sig", ext: true, x5c: [] })).toEqual({
      type: "usable",
      key: { alg: "ES256", kid: "1", expiresAtMs: null, jwk: P256 },
    });
    expect(readJwk(ED25519)).toEqual({
      type: "usable",
      key: { alg: "EdDSA", kid: null, expiresAtMs: null, jwk: ED25519 },
    });
  });

  test.each([
    ["its own algorithm", { ...P256, alg: "ES256" }],
    ["its own algorithm, Ed25519", { ...ED25519, alg: "EdDSA" }],
    // RFC 9864, section 2.2, names the curve.
    ["its own algorithm, by its other name", { ...ED25519, alg: "Ed25519" }],
    ["operations with verify", { ...P256, key_ops: ["verify"] }],
    ["null for what it does not have", { ...P256, kid: null, use: null, alg: null, key_ops: null }],
    ["no end and no secret but null", { ...ED25519, exp: null, d: null }],
    ["an empty secret", { ...ED25519, d: "" }],
  ])("takes a key with %s", (_, entry) => {
    expect(readJwk(entry).type).toBe("usable");
  });

  test("13.9 an end is in seconds", () => {
    expect(readJwk({ ...P256, exp: 1.5 })).toMatchObject({ key: { expiresAtMs: 1500 } });
  });

  test.each([
    ["RSA", { kty: "RSA", n: "n", e: "e" }],
    ["another curve", { ...P256, crv: "P-384" }],
    ["encryption", { ...P256, use: "enc" }],
    ["no operation", { ...P256, key_ops: [] }],
    ["signing", { ...P256, key_ops: ["sign"] }],
    ["another algorithm", { ...P256, alg: "ES384" }],
    ["the other algorithm", { ...P256, alg: "EdDSA" }],
    ["the other algorithm, by its other name", { ...P256, alg: "Ed25519" }],
    ["key agreement", { ...ED25519, crv: "X25519" }],
    ["ES256 with Ed25519", { ...ED25519, alg: "ES256" }],
    ["HS256 with Ed25519", { ...ED25519, alg: "HS256" }],
    ["a half", { kty: "EC", crv: "P-256", x: "x" }],
    ["a type that is no text", { ...P256, kty: 7 }],
    ["a name that is no text", { ...P256, kid: 7 }],
    ["an end that is no number", { ...P256, exp: "2030-01-01" }],
    ["operations that are no list", { ...P256, key_ops: "verify" }],
    ["a secret's type without the secret", { kty: "oct" }],
    ["nothing", {}],
    ["null", null],
    ["a text", "key"],
    ["a list", [P256]],
  ])("has no use for %s", (_, entry) => {
    expect(readJwk(entry)).toEqual({ type: "unusable", reason: expect.any(String) });
  });

  test.each([
    ["a private P-256 key", { ...P256, d: "d" }],
    ["a private Ed25519 key", { ...ED25519, d: "d" }],
    ["a private RSA key", { kty: "RSA", n: "n", e: "e", d: "d" }],
    ["its primes alone", { kty: "RSA", n: "n", e: "e", p: "p", q: "q" }],
    ["a private key for another use", { ...P256, use: "enc", d: "d" }],
    ["a secret", { kty: "oct", k: "k" }],
    ["a private key of a type to come", { kty: "AKP", priv: "p" }],
    ["a private key without a type", { d: "d" }],
  ])("calls %s private", (_, entry) => {
    expect(readJwk(entry)).toEqual({ type: "private" });
  });

  test("whatever an entry is, nothing throws, and no reason repeats it", () => {
    const marker = "do-not-repeat-me";
    const value = fc.oneof(fc.jsonValue(), fc.constant(marker));
    const entry = fc.record(
      { ...Object.fromEntries(Object.keys(P256).map((name) => [name, value])), kid: value },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(entry, fc.jsonValue()), (any) => {
        expect(JSON.stringify({ ...readJwk(any), key: null })).not.toContain(marker);
      }),
    );
  });
});

test("an entry is called by its place, and by its name if it has one", () => {
  expect(nameJwk({ kid: "a\u001b[31m" }, 0)).toBe('Key 1 ("a\\u001b[31m")');
  expect(nameJwk({ kid: null }, 1)).toBe("Key 2");
  expect(nameJwk("text", 2)).toBe("Key 3");
});
