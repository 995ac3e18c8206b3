/** PROTOCOL.md, 13.2: whose signature counts, and what hostile tokens come to. */
import fc from "fast-check";
import { CompactEncrypt, CompactSign, exportJWK, generateKeyPair, UnsecuredJWT } from "jose";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import {
  TokenSettingsSchema,
  type PublicKey,
  type TokenSettings,
} from "../../../src/core/token-settings.ts";
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
  payload: string | Uint8Array = JSON.stringify(CLAIMS),
): Promise<string> {
  const signed = typeof payload === "string" ? bytes(payload) : payload;
  return new CompactSign(signed).setProtectedHeader(header).sign(key);
}

function check(token: string, of: TokenSettings = settings): ReturnType<typeof verifyToken> {
  return verifyToken(token, ADDRESS, of, NOW_MS);
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
      expect(await check(await sign({ alg }, bytes(secret)), { ...settings, secret })).toEqual(
        DENIED,
      );
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
    const good = settings.keys.filter((key) => key.alg === "ES256");
    const withKeys = (keys: PublicKey[]): TokenSettings => ({ ...settings, keys });
    const unnamed = await sign({ alg: "ES256" }, es256.privateKey);
    const named = await sign({ alg: "ES256", kid: "one" }, es256.privateKey);
    const stranger = (await exportJWK(strangers.publicKey)) as PublicKey["jwk"];
    const others = (count: number, kid: string | null): PublicKey[] =>
      Array.from({ length: count }, () => ({ alg: "ES256", kid, jwk: stranger }));

    expect(await check(unnamed, withKeys([...others(15, null), ...good]))).toEqual(GRANTED);
    expect(await check(unnamed, withKeys([...others(16, null), ...good]))).toEqual(DENIED);
    expect(await check(named, withKeys([...others(16, "two"), ...good]))).toEqual(GRANTED);
    const eddsaKeys = settings.keys.filter((key) => key.alg === "EdDSA");
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
    const bad: PublicKey = { alg: "ES256", kid: null, jwk };
    expect(await check(token, { ...settings, keys: [bad] })).toEqual(DENIED);
    expect(await check(token, { ...settings, keys: [bad, ...settings.keys] })).toEqual(GRANTED);
  });

  test.each([
    ["the audience", { aud: "wspubsub:other" }, /"aud"/],
    ["the issuer", { iss: "https://other.example" }, /"iss"/],
    ["the end", { exp: NOW_MS / 1000 - 1 }, /expired/],
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
      type: "denied",
      reason: expect.stringMatching(reason),
    });
  });

  test("13.2 goes by the time that it is given, not by the machine's clock", async () => {
    const exp = 1000;
    const token = await sign(
      { alg: "HS256" },
      bytes(SECRET),
      JSON.stringify({ ...CLAIMS, exp, nbf: 900 }),
    );
    expect(await verifyToken(token, ADDRESS, settings, 950_000)).toEqual({
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
        type: "denied",
        reason: "The token's payload is not JSON",
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
    ["an expired token", JSON.stringify({ ...CLAIMS, exp: NOW_MS / 1000 })],
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
    ["eyJ.e.s", true],
    ["eyJhbGciOiJub25lIn0.e30.", true],
    ["eyJ..", true],
    ["eyJ-_09.-_.AZ", true],
    ["", false],
    ["eyJ", false],
    ["eyJ.e", false],
    ["eyJ.e.s.", false],
    ["eyJ.e.s.t.u", false],
    ["EyJ.e.s", false],
    ["xeyJ.e.s", false],
    ["eyJ.e.s\n", false],
    ["eyJ.e.s=", false],
    ["eyJ.e+.s", false],
    ["eyJ.e/.s", false],
    ["eyJ.\u0131.s", false],
  ])("13.2 %j: %s", (text, is) => {
    expect(isToken(text)).toBe(is);
  });

  test("reads a megabyte at once", () => {
    expect(isToken(`eyJ${"a".repeat(1_000_000)}!`)).toBe(false);
    expect(isToken(`eyJ${".".repeat(1_000_000)}`)).toBe(false);
  });
});

/** Whether two tokens are the same bytes: the last character of base64 may have bits that stand for nothing. */
function saysTheSame(one: string, other: string): boolean {
  return decode(one) === decode(other);
}
