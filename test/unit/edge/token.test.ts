/** PROTOCOL.md, 13.2: whose signature counts, and what hostile tokens come to. */
import fc from "fast-check";
import { CompactEncrypt, CompactSign, exportJWK, generateKeyPair, UnsecuredJWT } from "jose";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import type { PublicKey } from "../../../src/core/jwk.ts";
import { isToken } from "../../../src/core/token-header.ts";
import { TokenSettingsSchema, type TokenSettings } from "../../../src/core/token-settings.ts";
import { MAX_TOKEN_LENGTH, verifyToken } from "../../../src/edge/token.ts";

const NOW_MS = 1_800_000_000_000;
const ADDRESS = { domain: "acme", topic: "news/1" };
const SECRET = "a secret of at least 32 characters, for tests";
const CLAIMS = {
  aud: "wspubsub:acme",
  sub: "user",
  exp: NOW_MS / 1000 + 60,
  authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics: ["news/*"] }],
};

type SigningKey = CryptoKey | Uint8Array;

let es256: { privateKey: CryptoKey; publicKey: CryptoKey };
let eddsa: { privateKey: CryptoKey; publicKey: CryptoKey };
let strangers: { privateKey: CryptoKey; publicKey: CryptoKey };
let settings: TokenSettings;

beforeAll(async () => {
  const extractable = { extractable: true };
  es256 = await generateKeyPair("ES256", extractable);
  eddsa = await generateKeyPair("EdDSA", extractable);
  strangers = await generateKeyPair("ES256", extractable);
  settings = v.parse(TokenSettingsSchema, {
    tokenIssuer: null,
    tokenSecret: SECRET,
    tokenKeys: {
      keys: [
        { ...(await exportJWK(es256.publicKey)), kid: "one" },
        await exportJWK(eddsa.publicKey),
      ],
    },
  });
});

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function sign(
  header: { alg: string } & Record<string, unknown>,
  key: SigningKey,
  payload: string | Uint8Array = JSON.stringify(CLAIMS),
): Promise<string> {
  const signed = typeof payload === "string" ? bytes(payload) : payload;
  return new CompactSign(signed).setProtectedHeader(header).sign(key);
}

function check(token: string, of: TokenSettings = settings): ReturnType<typeof verifyToken> {
  return verifyToken(token, { address: ADDRESS, action: "subscribe" }, of, NOW_MS);
}

/** Claims that are good, in exactly so many characters. */
function filled(length: number): string {
  const fill = length - JSON.stringify({ ...CLAIMS, fill: "" }).length;
  return JSON.stringify({ ...CLAIMS, fill: "x".repeat(fill) });
}

/** The bytes that a token stands for. */
function decode(token: string): string {
  return token
    .split(".")
    .map((part) => Uint8Array.fromBase64(part, { alphabet: "base64url" }).toHex())
    .join(".");
}

const GRANTED = { type: "granted", subject: "user", expiresAtMs: NOW_MS + 60_000 };
const DENIED = { type: "denied", reason: expect.any(String), isBySettings: expect.any(Boolean) };
const UNSIGNED = { ...DENIED, isBySettings: true };

/** The settings with these secrets, of which none ends. */
function withSecrets(...texts: string[]): TokenSettings {
  return { ...settings, secrets: texts.map((text) => ({ text, expiresAtMs: null })) };
}

/** The settings with secrets that end then: the test's, each with its place behind it. */
function secretsUntil(...ends: (number | null)[]): TokenSettings {
  const secrets = ends.map((expiresAtMs, at) => ({ text: SECRET + at, expiresAtMs }));
  return { ...settings, secrets };
}

/** The settings with these public keys. */
function withKeys(keys: PublicKey[]): TokenSettings {
  return { ...settings, keys };
}

/** The settings with their key for ES256 alone, which ends then. */
function keyUntil(expiresAtMs: number): TokenSettings {
  return withKeys(keysOf("ES256").map((key) => ({ ...key, expiresAtMs })));
}

/** In base64url. */
function encode(text: string | Uint8Array): string {
  const encoded = typeof text === "string" ? bytes(text) : text;
  return encoded.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The public keys of the settings. */
function keysOf(alg: PublicKey["alg"]): PublicKey[] {
  return (settings.keys ?? []).filter((key) => key.alg === alg);
}

describe("verifyToken", () => {
  test("13.2 takes the domain's keys, each with its own algorithm", async () => {
    expect(await check(await sign({ alg: "HS256" }, bytes(SECRET)))).toEqual(GRANTED);
    expect(await check(await sign({ alg: "ES256" }, es256.privateKey))).toEqual(GRANTED);
    expect(await check(await sign({ alg: "ES256", kid: "one" }, es256.privateKey))).toEqual(
      GRANTED,
    );
    expect(await check(await sign({ alg: "EdDSA" }, eddsa.privateKey))).toEqual(GRANTED);
    // A key without a name is tried whatever the token calls its own.
    expect(await check(await sign({ alg: "EdDSA", kid: "any" }, eddsa.privateKey))).toEqual(
      GRANTED,
    );
  });

  test("13.2 takes nothing in a domain that says nothing of tokens", async () => {
    const none: TokenSettings = { issuer: null, secrets: [], keys: [] };
    for (const token of [
      await sign({ alg: "HS256" }, bytes(SECRET)),
      await sign({ alg: "ES256" }, es256.privateKey),
    ]) {
      expect(await check(token, none)).toEqual(DENIED);
    }
  });

  test("13.2 takes no other keys, names and secrets; the domain may have them by now", async () => {
    for (const token of [
      await sign({ alg: "ES256" }, strangers.privateKey),
      await sign({ alg: "ES256", kid: "two" }, es256.privateKey),
      await sign({ alg: "HS256" }, bytes(`${SECRET}!`)),
    ]) {
      expect(await check(token)).toEqual(UNSIGNED);
    }
  });

  test("13.2 a name of null is none, and Ed25519 is called by either name", async () => {
    expect(await check(await sign({ alg: "ES256", kid: null }, es256.privateKey))).toEqual(GRANTED);
    expect(await check(await sign({ alg: "Ed25519" }, eddsa.privateKey))).toEqual(GRANTED);
    // Not by a key of another kind.
    const onlyP256 = { ...settings, keys: keysOf("ES256") };
    expect(await check(await sign({ alg: "Ed25519" }, eddsa.privateKey), onlyP256)).toEqual(
      UNSIGNED,
    );
  });

  test("13.9 takes two secrets, each until it ends", async () => {
    const by = [bytes(`${SECRET}0`), bytes(`${SECRET}1`)];
    const [first, second] = await Promise.all(by.map((key) => sign({ alg: "HS256" }, key)));
    expect(await check(first ?? "", secretsUntil(null, null))).toEqual(GRANTED);
    expect(await check(second ?? "", secretsUntil(null, null))).toEqual(GRANTED);
    expect(await check(second ?? "", secretsUntil(NOW_MS, NOW_MS + 1))).toEqual(GRANTED);
    expect(await check(first ?? "", secretsUntil(NOW_MS, NOW_MS + 1))).toEqual(UNSIGNED);
  });

  test("13.9 takes a public key until it ends", async () => {
    const token = await sign({ alg: "ES256" }, es256.privateKey);
    expect(await check(token, keyUntil(NOW_MS + 1))).toEqual(GRANTED);
    expect(await check(token, keyUntil(NOW_MS))).toEqual(UNSIGNED);
  });

  test("13.11 where the public keys must not be relied on, the secrets go on", async () => {
    const refused = { ...settings, keys: null };
    expect(await check(await sign({ alg: "HS256" }, bytes(SECRET)), refused)).toEqual(GRANTED);
    for (const [alg, { privateKey }] of [
      ["ES256", es256],
      ["EdDSA", eddsa],
      ["Ed25519", eddsa],
    ] as const) {
      expect(await check(await sign({ alg }, privateKey), refused)).toEqual({ type: "undecided" });
    }
    // What no public key can sign is wrong in any case.
    const { privateKey } = await generateKeyPair("RS256");
    expect(await check(await sign({ alg: "RS256" }, privateKey), refused)).toEqual(UNSIGNED);
    expect(await check(await sign({ alg: "HS256" }, bytes(`${SECRET}!`)), refused)).toEqual(
      UNSIGNED,
    );
  });

  test("13.6 a token that is good but for its end has expired; any other is denied", async () => {
    const over = { exp: NOW_MS / 1000 };
    const by = (claims: object, secret = SECRET): Promise<string> =>
      sign({ alg: "HS256" }, bytes(secret), JSON.stringify({ ...CLAIMS, ...over, ...claims }));
    expect(await check(await by({}))).toEqual({ type: "expired" });
    expect(await check(await by({}, `${SECRET}!`))).toEqual(UNSIGNED);
    expect(await check(await by({ aud: "wspubsub:other" }))).toEqual(DENIED);
    expect(await check(await by({ authorization_details: [] }))).toEqual(DENIED);
    const another = { ...settings, issuer: "https://id.example" };
    expect(await check(await by({ iss: "https://other.example" }), another)).toEqual(UNSIGNED);
  });

  // What the JSON web signature vectors of C2SP/wycheproof try, with keys of our own; what they try beside it is in
  // other tests here, or about RSA, which no token has.
  test.each([
    ["no signature", (head: string, payload: string) => `${head}.${payload}.`],
    ["no signature and no separator", (head: string, payload: string) => `${head}.${payload}`],
    ["no payload", (head: string, _: string, signature: string) => `${head}..${signature}`],
    ["no header", (_: string, payload: string, signature: string) => `.${payload}.${signature}`],
    ["an empty part more", (...parts: string[]) => `${parts.join(".")}.`],
    ["a part more", (...parts: string[]) => `${parts.join(".")}.foo`],
    ["nothing", () => ""],
    ["nothing but separators", () => ".."],
    ["a signature that is too long", (...parts: string[]) => `${parts.join(".")}AAAA`],
    [
      "a signature of zeros",
      (head: string, payload: string, signature: string) =>
        `${head}.${payload}.${"A".repeat(signature.length)}`,
    ],
    [
      "a signature that is cut",
      (head: string, payload: string, signature: string) =>
        `${head}.${payload}.${signature.slice(0, -4)}`,
    ],
    [
      "zeros in front of its signature",
      (head: string, payload: string, signature: string) => `${head}.${payload}.AAAA${signature}`,
    ],
    [
      "JSON in place of the compact form",
      (head: string, payload: string, signature: string) =>
        JSON.stringify({ payload, signatures: [{ protected: head, signature }] }),
    ],
  ])("13.2 refuses a token with %s", async (_, change) => {
    for (const token of [
      await sign({ alg: "HS256" }, bytes(SECRET)),
      await sign({ alg: "ES256" }, es256.privateKey),
      await sign({ alg: "EdDSA" }, eddsa.privateKey),
    ]) {
      const [head = "", payload = "", signature = ""] = token.split(".");
      expect(await check(change(head, payload, signature))).toEqual(DENIED);
    }
  });

  test("13.2 refuses a P-256 signature with r or s of 0, 1, n - 1 or n", async () => {
    const [head, payload] = (await sign({ alg: "ES256" }, es256.privateKey)).split(".");
    const n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const numbers = ["00".repeat(32), `${"00".repeat(31)}01`, n.replace(/1$/, "0"), n];
    for (const r of numbers) {
      for (const s of numbers) {
        const signature = Uint8Array.fromHex(r + s).toBase64({ alphabet: "base64url" });
        const token = `${head}.${payload}.${signature.replaceAll("=", "")}`;
        expect(isToken(token)).toBe(true);
        expect(await check(token)).toEqual(UNSIGNED);
      }
    }
  });

  test("13.2 a key that the token brings along is not looked at", async () => {
    const jwk = await exportJWK(strangers.publicKey);
    for (const header of [{ jwk }, { jwk, kid: "one" }, { jku: "https://stranger.example" }]) {
      const token = await sign({ alg: "ES256", ...header }, strangers.privateKey);
      expect(await check(token)).toEqual(UNSIGNED);
    }
  });

  test.each([
    ["a space", '{ "alg" : "HS256" }'],
    ["a line feed", '{\n"alg":"HS256"}'],
    ["a carriage return and a tab", '{\r\n\t"alg":"HS256"}'],
    ["white space before it", ' \n{"alg":"HS256"}'],
    ["its algorithm last", '{"typ":"JWT","alg":"HS256"}'],
    ["an escaped name", '{"\\u0061lg":"HS256"}'],
    ["a member without a name", '{"":0,"alg":"HS256"}'],
    ["a name of digits", '{"0":0,"alg":"HS256"}'],
  ])("13.8 takes a header with %s", async (_, header) => {
    const signed = `${encode(header)}.${encode(JSON.stringify(CLAIMS))}`;
    const key = await crypto.subtle.importKey(
      "raw",
      bytes(SECRET),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(signed)));
    const token = `${signed}.${encode(signature)}`;
    expect(isToken(token)).toBe(true);
    expect(await check(token)).toEqual(GRANTED);
  });

  test("13.2 a token without signature is none, in whatever spelling", async () => {
    const unsecured = new UnsecuredJWT(CLAIMS).encode();
    expect(isToken(unsecured)).toBe(true);
    expect(await check(unsecured)).toEqual(DENIED);
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      const header = bytes(JSON.stringify({ alg })).toBase64({ alphabet: "base64url" });
      const [, payload = "", signature = ""] = (await sign({ alg: "HS256" }, bytes(SECRET))).split(
        ".",
      );
      expect(await check(`${header.replaceAll("=", "")}.${payload}.`)).toEqual(DENIED);
      expect(await check(`${header.replaceAll("=", "")}.${payload}.${signature}`)).toEqual(DENIED);
    }
  });

  test("13.2 a public key is no secret: no token chooses its algorithm", async () => {
    const jwk = JSON.stringify(await exportJWK(es256.publicKey));
    const spki = new Uint8Array(
      (await crypto.subtle.exportKey("spki", es256.publicKey)) as ArrayBuffer,
    );
    const raw = new Uint8Array(
      (await crypto.subtle.exportKey("raw", eddsa.publicKey)) as ArrayBuffer,
    );
    const onlyKeys = withSecrets();
    for (const key of [bytes(jwk), spki, raw]) {
      expect(await check(await sign({ alg: "HS256" }, key))).toEqual(DENIED);
      expect(await check(await sign({ alg: "HS256" }, key), onlyKeys)).toEqual(DENIED);
    }
    const long = bytes(SECRET.repeat(2));
    const twice = withSecrets(SECRET.repeat(2));
    expect(await check(await sign({ alg: "HS512" }, long), twice)).toEqual(DENIED);
  });

  test("13.2 extensions that it does not know are refused", async () => {
    const token = await new CompactSign(bytes(JSON.stringify(CLAIMS)))
      .setProtectedHeader({ alg: "HS256", crit: ["exp"], exp: 1 })
      .sign(bytes(SECRET), { crit: { exp: true } });
    expect(await check(token)).toEqual(DENIED);
    // jose knows this one, but it has no place in a JWT (RFC 7797, section 7).
    for (const header of [{ b64: true, crit: ["b64"] }, { b64: true }, { b64: false }]) {
      expect(await check(await sign({ alg: "HS256", ...header }, bytes(SECRET)))).toEqual(DENIED);
    }
  });

  test("13.2 other algorithms are refused, whoever signed", async () => {
    for (const alg of ["RS256", "PS256", "ES384"]) {
      const { privateKey } = await generateKeyPair(alg);
      expect(await check(await sign({ alg }, privateKey))).toEqual(DENIED);
    }
    for (const alg of ["HS384", "HS512"]) {
      const secret = SECRET.repeat(2);
      expect(await check(await sign({ alg }, bytes(secret)), withSecrets(secret))).toEqual(DENIED);
    }
  });

  test("13.2 an encrypted token is none", async () => {
    const token = await new CompactEncrypt(bytes(JSON.stringify(CLAIMS)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .encrypt(bytes(SECRET).slice(0, 32));
    expect(isToken(token)).toBe(false);
    expect(await check(token)).toEqual(DENIED);
  });

  test("13.2 tries 16 keys of the token's algorithm, and those of its name alone", async () => {
    const good = keysOf("ES256");
    const unnamed = await sign({ alg: "ES256" }, es256.privateKey);
    const named = await sign({ alg: "ES256", kid: "one" }, es256.privateKey);
    const stranger = (await exportJWK(strangers.publicKey)) as PublicKey["jwk"];
    const others = (count: number, kid: string | null): PublicKey[] =>
      Array.from({ length: count }, () => ({
        alg: "ES256",
        kid,
        expiresAtMs: null,
        jwk: stranger,
      }));

    expect(await check(unnamed, withKeys([...others(15, null), ...good]))).toEqual(GRANTED);
    expect(await check(unnamed, withKeys([...others(16, null), ...good]))).toEqual(DENIED);
    expect(await check(named, withKeys([...others(16, "two"), ...good]))).toEqual(GRANTED);
    const eddsaKeys = keysOf("EdDSA");
    const sixteen = Array.from({ length: 16 }, () => eddsaKeys).flat();
    expect(await check(unnamed, withKeys([...sixteen, ...good]))).toEqual(GRANTED);
  });

  test.each([
    ["empty", { kty: "EC", crv: "P-256", x: "", y: "" }],
    ["not base64url", { kty: "EC", crv: "P-256", x: "\u00e9", y: "\ud800" }],
    ["no point of the curve", { kty: "EC", crv: "P-256", x: "A".repeat(43), y: "A".repeat(43) }],
    ["too long", { kty: "EC", crv: "P-256", x: "A".repeat(5000), y: "A" }],
    ["of another type", { kty: "OKP", crv: "Ed25519", x: "A".repeat(43) }],
  ])("13.2 a key that is %s opens nothing, and stands in no other's way", async (_, jwk) => {
    const token = await sign({ alg: "ES256" }, es256.privateKey);
    const bad: PublicKey = { alg: "ES256", kid: null, expiresAtMs: null, jwk };
    expect(await check(token, { ...settings, keys: [bad] })).toEqual(DENIED);
    expect(await check(token, { ...settings, keys: [bad, ...keysOf("ES256")] })).toEqual(GRANTED);
  });

  test.each([
    ["the audience", { aud: "wspubsub:other" }, /"aud"/],
    ["the issuer", { iss: "https://other.example" }, /"iss"/],
    ["the beginning", { nbf: NOW_MS / 1000 + 61 }, /not valid yet/],
    ["the making", { iat: NOW_MS / 1000 + 61 }, /not valid yet/],
    ["the topics", { authorization_details: [] }, /"authorization_details"/],
  ])("13.3 says that it is %s", async (_, changes, reason) => {
    const issuer = "https://id.example";
    const own = { ...settings, issuer };
    const good = JSON.stringify({ ...CLAIMS, iss: issuer });
    const bad = JSON.stringify({ ...CLAIMS, iss: issuer, ...changes });
    expect(await check(await sign({ alg: "EdDSA" }, eddsa.privateKey, good), own)).toEqual(GRANTED);
    expect(await check(await sign({ alg: "EdDSA" }, eddsa.privateKey, bad), own)).toEqual({
      ...DENIED,
      reason: expect.stringMatching(reason),
      isBySettings: "iss" in changes,
    });
  });

  test("13.12 says of no token but a good one that it is for something else", async () => {
    const asked = { address: ADDRESS, action: "publish" } as const;
    const good = await sign({ alg: "HS256" }, bytes(SECRET));
    expect(await verifyToken(good, asked, settings, NOW_MS)).toEqual({ type: "other-action" });
    const forged = await sign({ alg: "HS256" }, bytes(`${SECRET}!`));
    expect(await verifyToken(forged, asked, settings, NOW_MS)).toEqual(UNSIGNED);
  });

  test("13.2 goes by the time that it is given, not by the machine's clock", async () => {
    const exp = 1000;
    const token = await sign(
      { alg: "HS256" },
      bytes(SECRET),
      JSON.stringify({ ...CLAIMS, exp, nbf: 900 }),
    );
    const asked = { address: ADDRESS, action: "subscribe" } as const;
    expect(await verifyToken(token, asked, settings, 950_000)).toEqual({
      type: "granted",
      subject: "user",
      expiresAtMs: exp * 1000,
    });
  });

  test("13.3 a well-signed payload that is no JSON in UTF-8 is called that", async () => {
    const notUtf8 = bytes(JSON.stringify(CLAIMS).replace("user", "us~r")).map((byte) =>
      byte === 0x7e ? 0xff : byte,
    );
    for (const payload of ["{", "", "\ufeff{}", notUtf8]) {
      expect(await check(await sign({ alg: "HS256" }, bytes(SECRET), payload))).toEqual({
        ...DENIED,
        reason: "The token's payload is not JSON",
        isBySettings: false,
      });
    }
  });

  test.each([
    ["no JSON", "{"],
    ["no object", '"text"'],
    ["null", "null"],
    ["a list", "[]"],
    ["an end as text", JSON.stringify({ ...CLAIMS, exp: "later" })],
    ["an end beyond all numbers", JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e999')],
    // The last one counts (RFC 7519, section 4), and so it does for whoever signed it.
    [
      "a claim twice, the last one wrong",
      JSON.stringify(CLAIMS)
        .replace("{", '{"aud":"wspubsub:acme",')
        .replace(/"aud":"wspubsub:acme","sub"/, '"aud":"other","sub"'),
    ],
    ["deep nesting", "[".repeat(3000) + "]".repeat(3000)],
    [
      "deep nesting in its details",
      JSON.stringify({ ...CLAIMS, authorization_details: 1 }).replace(
        '"authorization_details":1',
        `"authorization_details":${"[".repeat(2800)}${"]".repeat(2800)}`,
      ),
    ],
    [
      "a lone surrogate",
      JSON.stringify({ ...CLAIMS, sub: 1 })
        .replace("1", '"\\ud800"')
        .replace("news/*", "\\ud800*"),
    ],
  ])("13.3 refuses a payload with %s, well signed", async (_, payload) => {
    expect(await check(await sign({ alg: "HS256" }, bytes(SECRET), payload))).toEqual(DENIED);
  });

  test("13.2 refuses more than 8,192 characters, unread", async () => {
    const longest = await sign({ alg: "HS256" }, bytes(SECRET), filled(6095));
    expect(longest).toHaveLength(8192);
    expect(await check(longest)).toEqual(GRANTED);
    const long = await sign({ alg: "HS256" }, bytes(SECRET), filled(6096));
    expect(long).toHaveLength(MAX_TOKEN_LENGTH + 1);
    expect(await check(long)).toEqual(DENIED);
  });

  test.each(["=", " ", "\n", "\0", ".", "é"])(
    "13.2 refuses %j anywhere in a token, where a decoder of base64 might overlook it",
    async (character) => {
      const token = await sign({ alg: "HS256" }, bytes(SECRET));
      for (let at = 0; at <= token.length; at++) {
        const changed = token.slice(0, at) + character + token.slice(at);
        expect(isToken(changed)).toBe(false);
        expect(await check(changed)).toEqual(DENIED);
      }
    },
  );

  test("13.2 changing any single character closes it, but for bits that stand for nothing", async () => {
    const token = await sign({ alg: "HS256" }, bytes(SECRET));
    for (let at = 0; at < token.length; at++) {
      const [before, after] = [token.slice(0, at), token.slice(at + 1)];
      for (const changed of [before + after, `${before}A${token.slice(at)}`]) {
        expect((await check(changed)).type).toBe("denied");
      }
      const other = token[at] === "A" ? "Q" : "A";
      const isSame = at === token.length - 1 && saysTheSame(before + other, token);
      expect((await check(before + other + after)).type).toBe(isSame ? "granted" : "denied");
    }
  });

  test("13.2 a token that is changed in any place opens nothing, unless it says the same", async () => {
    const tokens = [
      await sign({ alg: "HS256" }, bytes(SECRET)),
      await sign({ alg: "ES256" }, es256.privateKey),
      await sign({ alg: "EdDSA" }, eddsa.privateKey),
    ];
    const character = fc.constantFrom(..."A B x y z 0 9 - _ . = + / % é".split(" "), " ");
    const change = fc.record({
      token: fc.constantFrom(...tokens),
      place: fc.nat(10_000),
      remove: fc.nat(2),
      insert: fc.string({ unit: character, maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ token, place, remove, insert }) => {
        const at = place % token.length;
        const changed = token.slice(0, at) + insert + token.slice(at + remove);
        const { type } = await check(changed);
        expect(type === "denied" || saysTheSame(changed, token)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("whatever a client sends is denied, and nothing throws", async () => {
    const part = fc.oneof(
      fc.base64String(),
      fc.json().map((json) => bytes(json).toBase64({ alphabet: "base64url", omitPadding: true })),
      fc.string(),
    );
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.tuple(part, part, part).map((parts) => parts.join(".")),
      fc.tuple(fc.json(), part).map(([json, rest]) => {
        const header = bytes(json).toBase64({ alphabet: "base64url", omitPadding: true });
        return `${header}.${rest}.${rest}`;
      }),
    );
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        expect((await check(token)).type).toBe("denied");
      }),
      { numRuns: 500 },
    );
  });
});

describe("isToken", () => {
  test.each([
    ['{"alg":"HS256"}', true],
    ['{ "alg":"HS256"}', true],
    ['\n{\n"alg":"HS256"}', true],
    ['{"alg":null}', true],
    ['{"alg":["HS256"]}', true],
    ['{"typ":"JWT"}', false],
    ['{"ALG":"HS256"}', false],
    ['{"__proto__":{"alg":"HS256"}}', false],
    ["{}", false],
    ["[]", false],
    ['["alg"]', false],
    ["null", false],
    ['"alg"', false],
    ["256", false],
    ["alg", false],
    ['{"alg":"HS256"', false],
    ['\ufeff{"alg":"HS256"}', false],
  ])("13.8 three parts of which the first is %j: %s", (header, is) => {
    expect(isToken(`${encode(header)}.e30.AA`)).toBe(is);
  });

  test.each([
    ["", false],
    [".", false],
    ["..", false],
    ["HEAD", false],
    ["HEAD.e", false],
    ["HEAD.e.s", true],
    ["HEAD.e.", true],
    ["HEAD..", true],
    ["HEAD.-_.AZ", true],
    ["HEAD.e.s.", false],
    ["HEAD.e.s.t.u", false],
    [" HEAD.e.s", false],
    ["HEAD.e.s\n", false],
    ["HEAD.e.s=", false],
    ["HEAD=.e.s", false],
    ["HEAD.e+.s", false],
    ["HEAD.e/.s", false],
    ["HEAD.\u0131.s", false],
    ["eyJ.e.s", false],
    ["gICA.e.s", false],
  ])("13.8 %j, with a header at HEAD: %s", (text, is) => {
    expect(isToken(text.replace("HEAD", encode('{"alg":"HS256"}')))).toBe(is);
  });

  test("reads a megabyte at once", () => {
    expect(isToken(`eyJ${"a".repeat(1_000_000)}!`)).toBe(false);
    expect(isToken(`eyJ${".".repeat(1_000_000)}`)).toBe(false);
    expect(isToken(`${encode("[".repeat(1_000_000))}.e.s`)).toBe(false);
  });
});

/** Whether two tokens are the same bytes: the last character of base64 may have bits that stand for nothing. */
function saysTheSame(one: string, other: string): boolean {
  return decode(one) === decode(other);
}
