/**
 * PROTOCOL.md, 13.8 to 13.11: tokens at the door. What a changed row does at once, what strangers' tokens cost, and
 * what is not counted.
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Answer } from "../../../src/core/admission.ts";
import { upgrade } from "../../../src/edge/upgrade.ts";
import { leaveRoomInMinute } from "../../support-in-workerd/real-time.ts";
import { FakePostgres } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedTopic } from "./support/scripted-objects.ts";

const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
const SUB = "/ws/sub/acme/news";
const OLD = "the old secret of at least 32 characters";
const NEW = "the new secret of at least 32 characters";
const POLICY: Answer = { type: "needs", what: "policy" };

interface TokenOptions {
  readonly alg?: string;
  readonly issuer?: string;
  readonly end?: string;
  readonly topic?: string;
}

function token(
  key: string | CryptoKey,
  { alg = "HS256", issuer = "us", end = "1h", topic = "*" }: TokenOptions = {},
): Promise<string> {
  return new SignJWT({
    authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics: [topic] }],
  })
    .setProtectedHeader({ alg })
    .setAudience("wspubsub:acme")
    .setSubject("user")
    .setIssuer(issuer)
    .setExpirationTime(end)
    .sign(typeof key === "string" ? new TextEncoder().encode(key) : key);
}

function encode(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

function anyone(): string {
  return crypto.randomUUID();
}

describe("a token", () => {
  let postgres: FakePostgres;

  beforeEach(async () => {
    await leaveRoomInMinute();
    postgres = new FakePostgres();
    postgres.domains.set("acme", { tokenSecret: OLD });
  });

  /** What the hub answers: `101`, or a status and a slug. */
  async function connect(
    text: string | null,
    from = anyone(),
    { path = SUB, headers = {}, topic = new ScriptedTopic("admitted") } = {},
  ): Promise<string> {
    const ctx = createExecutionContext();
    const request = new Request(`https://hub.test${path}`, {
      headers: {
        ...HANDSHAKE,
        "CF-Connecting-IP": from,
        ...(text !== null && { Authorization: `Bearer ${text}` }),
        ...headers,
      },
    });
    const objects = { TOPIC: topic.namespace, DOMAIN: new ScriptedDomain({}).namespace };
    const response = await upgrade(request, { ...postgres.env(env), ...objects }, ctx);
    await waitOnExecutionContext(ctx);
    if (response.status === 101) return "101";
    const { type } = await response.json<{ type: string }>();
    return `${response.status} ${type.replace("urn:wspubsub:problem:", "")}`;
  }

  /** The settings are remembered from now on. */
  async function remember(): Promise<void> {
    expect(await connect(await token(OLD))).toBe("101");
    postgres.asked.length = 0;
  }

  describe("by settings that have just changed", () => {
    test("13.10 a new secret works at once, and costs one query", async () => {
      await remember();
      postgres.domains.set("acme", { tokenSecret: NEW, tokenSecretPrevious: OLD });
      const topic = new ScriptedTopic("admitted");
      expect(await connect(await token(NEW), anyone(), { topic })).toBe("101");
      expect(topic.heard).toMatchObject([{ grant: { subject: "user" }, isFresh: true }]);
      expect(await connect(await token(NEW))).toBe("101");
      expect(await connect(await token(OLD))).toBe("101");
      expect(postgres.asked).toEqual(["find-domain"]);
    });

    test("13.10 so does a new public key", async () => {
      await remember();
      const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
      const signed = await token(privateKey, { alg: "ES256" });
      expect(await connect(signed)).toBe("401 token-rejected");
      const tokenKeys = { keys: [await exportJWK(publicKey)] };
      postgres.domains.set("acme", { tokenSecret: OLD, tokenKeys });
      expect(await connect(signed)).toBe("101");
    });

    test("13.10 so does a new issuer", async () => {
      postgres.domains.set("acme", { tokenSecret: OLD, tokenIssuer: "us" });
      await remember();
      postgres.domains.set("acme", { tokenSecret: OLD, tokenIssuer: "them" });
      expect(await connect(await token(OLD, { issuer: "them" }))).toBe("101");
      expect(await connect(await token(OLD))).toBe("401 token-rejected");
    });

    test("13.10 what no settings can mend asks nobody", async () => {
      await remember();
      for (const options of [{ topic: "another" }, { end: "-1s" }]) {
        expect(await connect(await token(OLD, options))).toMatch(/^401 token-/);
      }
      expect(postgres.asked).toEqual([]);
    });

    test("13.10 where the settings cannot be read anew, nothing is said of the token", async () => {
      await remember();
      postgres.isDown = true;
      expect(await connect(await token(NEW))).toBe("503 key-store-unavailable");
      // Known settings still let in.
      expect(await connect(await token(OLD))).toBe("101");
      // The store is left alone for a while.
      expect(await connect(await token(NEW))).toBe("503 key-store-unavailable");
      expect(postgres.asked).toEqual(["find-domain"]);
    });

    test("13.10 those who come while the settings are read share what is asked after they came", async () => {
      await remember();
      const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
      const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
      postgres.delay = () => {
        asked();
        return isReleased;
      };
      const fresh = await token(NEW);
      // It asks while the old row is still there.
      const early = connect(fresh);
      await isAsked;
      postgres.domains.set("acme", { tokenSecret: NEW });
      const late = Array.from({ length: 50 }, () => connect(fresh));
      // As long as the answers of before are under way.
      await vi.waitFor(() => expect(postgres.asked.length).toBeGreaterThan(1));
      release();
      expect(await early).toBe("401 token-rejected");
      expect(new Set(await Promise.all(late))).toEqual(new Set(["101"]));
      expect(postgres.asked.length).toBeLessThanOrEqual(6);
    });
  });

  describe("of a stranger", () => {
    test("13.10 14.1 costs five queries from an address, then none, and is counted", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
      onTestFinished(() => void vi.useRealTimers());
      await remember();
      const stranger = anyone();
      const forged = await token(NEW);
      const answers: string[] = [];
      for (let n = 0; n < 40; n++) answers.push(await connect(forged, stranger));
      expect(postgres.asked).toHaveLength(5);
      vi.setSystemTime(Date.now() + 5999);
      await connect(forged, stranger);
      expect(postgres.asked).toHaveLength(5);
      expect(answers.slice(0, 5)).toEqual(Array(5).fill("401 token-rejected"));
      expect(answers.slice(5, 30)).toEqual(Array(25).fill("503 key-store-unavailable"));
      expect(answers.at(-1)).toBe("429 too-many-requests");
    });

    test("13.10 has its share back after a while: one reading in six seconds", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
      onTestFinished(() => void vi.useRealTimers());
      await remember();
      const stranger = anyone();
      const forged = await token(NEW);
      for (let n = 0; n < 6; n++) await connect(forged, stranger);
      // What is remembered is fresh all the same.
      vi.setSystemTime(Date.now() + 6000);
      expect(await connect(forged, stranger)).toBe("401 token-rejected");
      expect(await connect(forged, stranger)).toBe("503 key-store-unavailable");
      expect(postgres.asked).toHaveLength(6);
    });

    test("13.10 does not use up what others may ask, from one address or from many", async () => {
      await remember();
      const stranger = anyone();
      for (let n = 0; n < 6; n++) await connect(await token(NEW), stranger);
      const forged = await token("a secret of nobody's with 32 characters");
      const many = Array.from({ length: 200 }, () => connect(forged));
      postgres.domains.set("acme", { tokenSecret: NEW });
      expect(await connect(await token(NEW))).toBe("101");
      expect(new Set(await Promise.all(many))).toEqual(new Set(["401 token-rejected"]));
      expect(await connect(await token(NEW), stranger)).toBe("101");
      expect(postgres.asked.length).toBeLessThan(100);
    });

    test("13.10 a domain's settings are read five times at once, then five times a second", async () => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: Date.now() });
      onTestFinished(() => void vi.useRealTimers());
      await remember();
      const forged = await token(NEW);
      for (let n = 0; n < 5; n++) expect(await connect(forged)).toBe("401 token-rejected");
      expect(postgres.asked).toHaveLength(5);
      const sixth = connect(forged);
      while (vi.getTimerCount() === 0) await scheduler.wait(0);
      await vi.advanceTimersByTimeAsync(199);
      expect(postgres.asked).toHaveLength(5);
      await vi.advanceTimersByTimeAsync(1);
      expect(await sixth).toBe("401 token-rejected");
      expect(postgres.asked).toHaveLength(6);
    });

    test("14.1 from an address that is blocked asks nobody", async () => {
      await remember();
      const stranger = anyone();
      const wrong = await token(OLD, { topic: "another" });
      for (let n = 0; n < 31; n++) await connect(wrong, stranger);
      expect(await connect(await token(NEW), stranger)).toBe("429 too-many-requests");
      expect(postgres.asked).toEqual([]);
      // Good ones still open from there.
      expect(await connect(await token(OLD), stranger)).toBe("101");
    });
  });

  test("13.6 that has expired is called that, with 4401 for who asks, and is not counted", async () => {
    const over = await token(OLD, { end: "-1s" });
    const from = anyone();
    for (let n = 0; n < 40; n++) expect(await connect(over, from)).toBe("401 token-expired");
    expect(await connect(await token(OLD), from)).toBe("101");
    const { webSocket } = await upgrade(
      new Request(`https://hub.test${SUB}?explain=1`, {
        headers: { ...HANDSHAKE, Authorization: `Bearer ${over}` },
      }),
      postgres.env(env),
      createExecutionContext(),
    );
    const closed = new Promise((resolve) => {
      webSocket?.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
    });
    webSocket?.accept();
    expect(await closed).toBe("4401 token-expired");
  });

  test.each([
    ["as it is", (text: string) => text],
    ["behind the prefix", (text: string) => `base64url.bearer.authorization.wspubsub.${text}`],
    ["encoded", (text: string) => `base64url.bearer.authorization.wspubsub.${encode(text)}`],
  ])("13.8 in a subprotocol is taken %s", async (_, write) => {
    const offer = async (key: string): Promise<object> => ({
      headers: { "Sec-WebSocket-Protocol": `wspubsub.v1, ${write(await token(key))}` },
    });
    const topic = new ScriptedTopic("admitted");
    expect(await connect(null, anyone(), { ...(await offer(OLD)), topic })).toBe("101");
    expect(topic.heard).toMatchObject([{ subprotocol: "wspubsub.v1", grant: { subject: "user" } }]);
    expect(await connect(null, anyone(), await offer(NEW))).toBe("401 token-rejected");
  });

  test("12.2 two in subprotocols are too many", async () => {
    const text = await token(OLD);
    const headers = { "Sec-WebSocket-Protocol": `${text}, ${text}` };
    expect(await connect(null, anyone(), { headers })).toBe("401 key-rejected");
  });

  test("13.8 that is wrong is token-rejected, however its header is written", async () => {
    await remember();
    for (const header of [
      '{ "alg":"HS256"}',
      '{\n"alg":"none"}',
      '{"alg":7}',
      '{"a":1,"alg":""}',
    ]) {
      expect(await connect(`${encode(header)}.${encode("{}")}.AA`)).toBe("401 token-rejected");
    }
    expect(postgres.asked).not.toContain("check-key");
  });

  describe("in a domain whose JWK Set has", () => {
    test("13.11 an entry that is no key: the rest of it goes on", async () => {
      const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
      const key = { ...(await exportJWK(publicKey)), alg: "Ed25519", kid: null };
      postgres.domains.set("acme", { tokenKeys: { keys: ["no key", {}, { kty: 7 }, key] } });
      expect(await connect(await token(privateKey, { alg: "EdDSA" }))).toBe("101");
      expect(await connect(await token(privateKey, { alg: "Ed25519" }))).toBe("101");
      expect(await connect(null, anyone(), { topic: new ScriptedTopic(POLICY, "admitted") })).toBe(
        "101",
      );
    });

    test("13.11 a private key: tokens by public keys are 503 and not counted, all else goes on", async () => {
      const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
      const keys = [await exportJWK(publicKey), await exportJWK(privateKey)];
      postgres.domains.set("acme", { tokenSecret: OLD, tokenKeys: { keys } });
      const signed = await token(privateKey, { alg: "EdDSA" });
      const from = anyone();
      expect(await connect(signed, from)).toBe("503 key-store-unavailable");
      expect(await connect(await token(OLD), from)).toBe("101");
      expect(await connect(null, from, { topic: new ScriptedTopic(POLICY, "admitted") })).toBe(
        "101",
      );
      postgres.domains.set("acme", { tokenSecret: OLD, tokenKeys: { keys: keys.slice(0, 1) } });
      expect(await connect(signed, from)).toBe("101");
    });
  });
});
