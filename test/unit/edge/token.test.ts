/** PROTOCOL.md, 13.2: whose signature counts, and what hostile tokens come to. */
import fc from "fast-check";
import { CompactSign, exportJWK, generateKeyPair, UnsecuredJWT } from "jose";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import { TokenSettingsSchema, type TokenSettings } from "../../../src/core/token-settings.ts";
import { isToken, MAX_TOKEN_LENGTH, verifyToken } from "../../../src/edge/token.ts";

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
  payload: string = JSON.stringify(CLAIMS),
): Promise<string> {
  return new CompactSign(bytes(payload)).setProtectedHeader(header).sign(key);
}

function check(token: string, of: TokenSettings = settings): ReturnType<typeof verifyToken> {
  return verifyToken(token, ADDRESS, of, NOW_MS);
}

/** Claims that are good, and so many characters longer. */
function filled(length: number): string {
  return JSON.stringify({ ...CLAIMS, fill: "x".repeat(length) });
}

/** The bytes that a token stands for. */
function decode(token: string): string {
  return token
    .split(".")
    .map((part) => Uint8Array.fromBase64(part, { alphabet: "base64url" }).toHex())
    .join(".");
}

const GRANTED = { type: "granted", expiresAtMs: NOW_MS + 60_000 };
const DENIED = { type: "denied", reason: expect.any(String) };

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
    const none: TokenSettings = { issuer: null, secret: null, keys: [] };
    for (const token of [
      await sign({ alg: "HS256" }, bytes(SECRET)),
      await sign({ alg: "ES256" }, es256.privateKey),
    ]) {
      expect(await check(token, none)).toEqual(DENIED);
    }
  });

  test("13.2 takes no other keys, names and secrets", async () => {
    expect(await check(await sign({ alg: "ES256" }, strangers.privateKey))).toEqual(DENIED);
    expect(await check(await sign({ alg: "ES256", kid: "two" }, es256.privateKey))).toEqual(DENIED);
    expect(await check(await sign({ alg: "HS256" }, bytes(`${SECRET}!`)))).toEqual(DENIED);
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
    const onlyKeys = { ...settings, secret: null };
    for (const key of [bytes(jwk), spki, raw]) {
      expect(await check(await sign({ alg: "HS256" }, key))).toEqual(DENIED);
      expect(await check(await sign({ alg: "HS256" }, key), onlyKeys)).toEqual(DENIED);
    }
    const long = bytes(SECRET.repeat(2));
    const twice = { ...settings, secret: SECRET.repeat(2) };
    expect(await check(await sign({ alg: "HS512" }, long), twice)).toEqual(DENIED);
  });

  test("13.2 extensions that it does not know are refused", async () => {
    const token = await new CompactSign(bytes(JSON.stringify(CLAIMS)))
      .setProtectedHeader({ alg: "HS256", crit: ["exp"], exp: 1 })
      .sign(bytes(SECRET), { crit: { exp: true } });
    expect(await check(token)).toEqual(DENIED);
  });

  test.each([
    ["no JSON", "{"],
    ["no object", '"text"'],
    ["null", "null"],
    ["a list", "[]"],
    ["an end as text", JSON.stringify({ ...CLAIMS, exp: "later" })],
    ["an end beyond all numbers", JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e999')],
    ["an expired token", JSON.stringify({ ...CLAIMS, exp: NOW_MS / 1000 })],
    // The last one counts (RFC 7519, section 4), and so it does for whoever signed it.
    [
      "a claim twice, the last one wrong",
      JSON.stringify(CLAIMS)
        .replace("{", '{"aud":"wspubsub:acme",')
        .replace(/"aud":"wspubsub:acme","sub"/, '"aud":"other","sub"'),
    ],
    ["deep nesting", `${"[".repeat(2000)}${"]".repeat(2000)}`],
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
    const short = await sign({ alg: "HS256" }, bytes(SECRET), filled(5000));
    expect(await check(short)).toEqual(GRANTED);
    const long = await sign({ alg: "HS256" }, bytes(SECRET), filled(6500));
    expect(long.length).toBeGreaterThan(MAX_TOKEN_LENGTH);
    expect(await check(long)).toEqual(DENIED);
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

/** Whether two tokens are the same bytes: the last character of base64 may have bits that stand for nothing. */
function saysTheSame(one: string, other: string): boolean {
  return decode(one) === decode(other);
}
