/** PROTOCOL.md, section 13: private topics, with tokens that were made by a library of others. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshKey, sql, topicUrls } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open, refused, type Client } from "../support/client.ts";
import { noteSecret } from "../support/secrets.ts";

const { url, sqlEndpoint } = inject("hub");
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");

interface PrivateTopic {
  readonly domain: string;
  readonly key: string;
  readonly topic: string;
  readonly sub: string;
  readonly publisher: Client;
}

/** A live topic of a domain whose subscribers need a token. */
async function privateTopic(
  policy: Parameters<typeof freshDomain>[0] = { token_secret: SECRET },
): Promise<PrivateTopic> {
  const domain = await freshDomain({ subscribers: "token", ...policy });
  const { pub, sub } = topicUrls(url, domain);
  return { ...domain, topic: sub.split("/").at(-1) ?? "", sub, publisher: await open(pub) };
}

interface TokenOptions {
  readonly topics?: readonly string[];
  readonly seconds?: number;
  readonly claims?: Record<string, unknown>;
}

function claimsOf(
  { domain, topic }: Pick<PrivateTopic, "domain" | "topic">,
  { topics = [topic], seconds = 60, claims = {} }: TokenOptions,
): SignJWT {
  return new SignJWT({
    authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics }],
    ...claims,
  })
    .setAudience(`wspubsub:${encodeURIComponent(domain)}`)
    .setSubject("user")
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds);
}

async function tokenFor(of: PrivateTopic, options: TokenOptions = {}): Promise<string> {
  const token = await claimsOf(of, options)
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SECRET));
  return noteSecret("token", token);
}

/** A ticket that the hub gave. */
function ticketOf({ body }: { readonly body: Record<string, unknown> }): string {
  return noteSecret("ticket", String(body["ticket"]));
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

function credential(token: string): string {
  return `base64url.bearer.authorization.wspubsub.${Buffer.from(token).toString("base64url")}`;
}

async function slugOf(refusal: Promise<{ status: number; body: string }>): Promise<string> {
  const { status, body } = await refusal;
  const { type } = JSON.parse(body) as { type: string };
  return `${status} ${type.replace("urn:wspubsub:problem:", "")}`;
}

describe.runIf(sqlEndpoint !== null)("a private topic", () => {
  test("5.4 13.1 nobody without a token or a key of the domain is let in", async () => {
    const { sub, key } = await privateTopic();
    expect(await slugOf(refused(sub))).toBe("401 token-required");
    expect(await slugOf(refused(sub, [], bearer("wrong")))).toBe("401 key-rejected");
    await open(sub, [], bearer(key));
  });

  test("13.2 a token opens it, in a header and in a subprotocol", async () => {
    const topic = await privateTopic();
    const token = await tokenFor(topic, { topics: [`${topic.topic.slice(0, 8)}*`] });
    const subscribers = [
      await open(topic.sub, [], bearer(token)),
      await open(topic.sub, ["wspubsub.raw", credential(token)]),
    ];
    topic.publisher.send("for your eyes");
    for (const subscriber of subscribers) {
      expect(await subscriber.texts(1)).toEqual(["for your eyes"]);
    }
    expect(subscribers[1]?.socket.protocol).toBe("wspubsub.raw");
  });

  test("13.2 ES256 and EdDSA by the domain's public keys", async () => {
    const es256 = await generateKeyPair("ES256", { extractable: true });
    const eddsa = await generateKeyPair("EdDSA", { extractable: true });
    const keys = [
      { ...(await exportJWK(es256.publicKey)), kid: "a" },
      await exportJWK(eddsa.publicKey),
    ];
    const topic = await privateTopic({ token_keys: JSON.stringify({ keys }) });
    const byEs256 = await claimsOf(topic, {})
      .setProtectedHeader({ alg: "ES256", kid: "a" })
      .sign(es256.privateKey);
    const byEddsa = await claimsOf(topic, {})
      .setProtectedHeader({ alg: "EdDSA" })
      .sign(eddsa.privateKey);
    await open(topic.sub, [], bearer(noteSecret("token", byEs256)));
    await open(topic.sub, [], bearer(noteSecret("token", byEddsa)));
    expect(await slugOf(refused(topic.sub, [], bearer(await tokenFor(topic))))).toBe(
      "401 token-rejected",
    );
  });

  test("13.3 a token that is wrong in any way opens nothing, in an open domain neither", async () => {
    const topic = await privateTopic();
    const elsewhere = await privateTopic();
    const wrong = [
      await tokenFor(topic, { topics: ["another"] }),
      await tokenFor(elsewhere),
      `${await tokenFor(topic)}x`,
    ];
    for (const token of wrong) {
      expect(await slugOf(refused(topic.sub, [], bearer(token)))).toBe("401 token-rejected");
      const protocols = ["wspubsub.v1", credential(token)];
      expect(await slugOf(refused(topic.sub, protocols))).toBe("401 token-rejected");
    }
    const { domain, key } = await freshDomain();
    const publicTopic = topicUrls(url, { domain, key });
    await open(publicTopic.pub);
    expect(await slugOf(refused(publicTopic.sub, [], bearer(wrong[0] ?? "")))).toBe(
      "401 token-rejected",
    );
  });

  test("13.6 a token that has expired is called that, and not counted", async () => {
    const topic = await privateTopic();
    const over = await tokenFor(topic, { seconds: -1 });
    for (let n = 0; n < 40; n++) {
      expect(await slugOf(refused(topic.sub, [], bearer(over)))).toBe("401 token-expired");
    }
    const explained = await open(`${topic.sub}?explain=1`, ["wspubsub.raw", over]);
    expect(await explained.closed()).toEqual({ code: 4401, reason: "token-expired" });
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    expect((await admin("POST", path, over)).body).toMatchObject({
      type: "urn:wspubsub:problem:token-expired",
    });
  });

  test("13.8 a token in a subprotocol may stand as it is", async () => {
    const topic = await privateTopic();
    const token = await tokenFor(topic);
    for (const name of [token, `base64url.bearer.authorization.wspubsub.${token}`]) {
      const subscriber = await open(topic.sub, ["wspubsub.raw", name]);
      expect(subscriber.socket.protocol).toBe("wspubsub.raw");
    }
  });

  test("13.9 13.10 a secret is replaced without a pause", async () => {
    const topic = await privateTopic();
    const old = await tokenFor(topic);
    await open(topic.sub, [], bearer(old));
    const secret = noteSecret("signing secret", crypto.randomUUID());
    await sql(
      `update domains set token_secret = $2, token_secret_previous = token_secret,
        token_secret_previous_expires_at = now() + interval '1 hour' where domain = $1`,
      [topic.domain, secret],
    );
    const fresh = await claimsOf(topic, {})
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(secret));
    await open(topic.sub, [], bearer(noteSecret("token", fresh)));
    await open(topic.sub, [], bearer(old));
    await sql(
      "update domains set token_secret_previous_expires_at = '-infinity' where domain = $1",
      [topic.domain],
    );
    await admin("POST", `${topic.domain}/sync`);
    expect(await slugOf(refused(topic.sub, [], bearer(old)))).toBe("401 token-rejected");
    await open(topic.sub, [], bearer(fresh));
  });

  test("13.11 a private key in the JWK Set costs the tokens by public keys, and nothing else", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const keys = ["no key", await exportJWK(publicKey), await exportJWK(privateKey)];
    const topic = await privateTopic({
      token_secret: SECRET,
      token_keys: JSON.stringify({ keys }),
    });
    const signed = await claimsOf(topic, {}).setProtectedHeader({ alg: "ES256" }).sign(privateKey);
    expect(await slugOf(refused(topic.sub, [], bearer(noteSecret("token", signed))))).toBe(
      "503 key-store-unavailable",
    );
    await open(topic.sub, [], bearer(await tokenFor(topic)));
    await open(topic.sub, [], bearer(topic.key));
    await sql("update domains set token_keys = token_keys #- '{keys,2}' where domain = $1", [
      topic.domain,
    ]);
    await open(topic.sub, [], bearer(signed));
  });

  test("13.3 the issuer is the domain's, where it has one", async () => {
    const topic = await privateTopic({ token_secret: SECRET, token_issuer: "https://id.example" });
    expect(await slugOf(refused(topic.sub, [], bearer(await tokenFor(topic))))).toBe(
      "401 token-rejected",
    );
    const token = await tokenFor(topic, { claims: { iss: "https://id.example" } });
    await open(topic.sub, [], bearer(token));
  });

  test("13.6 the socket closes when the token expires, and says: renew and come back", async () => {
    const topic = await privateTopic();
    const subscriber = await open(topic.sub, [], bearer(await tokenFor(topic, { seconds: 6 })));
    // The runtime ends the connection of one that never sent anything ten seconds late.
    subscriber.send("here");
    const stays = await open(topic.sub, [], bearer(await tokenFor(topic)));
    topic.publisher.send("in time");
    expect(await subscriber.texts(1)).toEqual(["in time"]);
    expect(await subscriber.closed()).toEqual({ code: 4401, reason: "token-expired" });
    topic.publisher.send("too late");
    expect(await stays.texts(2)).toEqual(["in time", "too late"]);
  });

  test("13.1 4.6 a browser is told why", async () => {
    const { sub } = await privateTopic();
    const anonymous = await open(`${sub}?explain=1`);
    expect(await anonymous.closed()).toEqual({ code: 4501, reason: "token-required" });
  });
});

describe.runIf(sqlEndpoint !== null)("a ticket", () => {
  test("13.5 opens its topic once, to one who sends neither header nor subprotocol", async () => {
    const topic = await privateTopic();
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    const { status, body } = await admin("POST", path, await tokenFor(topic));
    expect({ status, body }).toEqual({
      status: 201,
      body: { ticket: expect.stringMatching(/^[\w-]{43}$/), expires_in: 30 },
    });
    const withTicket = `${topic.sub}?ticket=${ticketOf({ body })}`;
    const subscriber = await open(withTicket);
    topic.publisher.send("once");
    expect(await subscriber.texts(1)).toEqual(["once"]);
    expect(await slugOf(refused(withTicket))).toBe("401 ticket-rejected");
  });

  test("13.5 of two who use it at once one is let in", async () => {
    const topic = await privateTopic();
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    const { body } = await admin("POST", path, topic.key);
    const withTicket = `${topic.sub}?ticket=${ticketOf({ body })}`;
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => open(withTicket)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("13.5 opens no other topic, and is used up by trying", async () => {
    const topic = await privateTopic();
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    const { body } = await admin("POST", path, topic.key);
    const other = topic.sub.replace(topic.topic, "other");
    expect(await slugOf(refused(`${other}?ticket=${ticketOf({ body })}`))).toBe(
      "401 ticket-rejected",
    );
    expect(await slugOf(refused(`${topic.sub}?ticket=${ticketOf({ body })}`))).toBe(
      "401 ticket-rejected",
    );
  });

  test("13.7 is not used up by a topic that is not live yet", async () => {
    const domain = await freshDomain({ subscribers: "token", token_secret: SECRET });
    const { pub, sub } = topicUrls(url, domain);
    const path = `${domain.domain}/topics/${sub.split("/").at(-1) ?? ""}/tickets`;
    const { body } = await admin("POST", path, domain.key);
    const withTicket = `${sub}?ticket=${ticketOf({ body })}`;
    expect(await slugOf(refused(withTicket))).toBe("404 topic-not-live");
    expect(await slugOf(refused(withTicket))).toBe("404 topic-not-live");
    const publisher = await open(pub);
    const subscriber = await open(withTicket);
    publisher.send("at last");
    expect(await subscriber.texts(1)).toEqual(["at last"]);
    expect(await slugOf(refused(withTicket))).toBe("401 ticket-rejected");
  });

  test("13.5 nobody gets one for what they may not read", async () => {
    const topic = await privateTopic();
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    const stranger = await freshDomain();
    for (const [credential_, status] of [
      [null, 401],
      ["wrong", 401],
      [stranger.key, 401],
      [await tokenFor(topic, { topics: ["other"] }), 401],
    ] as const) {
      expect((await admin("POST", path, credential_)).status).toBe(status);
    }
    for (const ticket of ["", "short", "x".repeat(43), "%00"]) {
      expect(await slugOf(refused(`${topic.sub}?ticket=${ticket}`))).toBe("401 ticket-rejected");
    }
  });

  test("13.5 13.6 what it opens ends with the token", async () => {
    const topic = await privateTopic();
    const path = `${topic.domain}/topics/${topic.topic}/tickets`;
    const { body } = await admin("POST", path, await tokenFor(topic, { seconds: 6 }));
    const subscriber = await open(`${topic.sub}?ticket=${ticketOf({ body })}`);
    subscriber.send("here");
    expect(await subscriber.closed()).toEqual({ code: 4401, reason: "token-expired" });
  });

  test("13.5 a page of another origin may ask for one", async () => {
    const topic = await privateTopic();
    const tickets = `${url.replace(/^ws/, "http")}/v1/domains/${topic.domain}/topics/${topic.topic}/tickets`;
    const preflight = await fetch(tickets, {
      method: "OPTIONS",
      headers: {
        Origin: "https://page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
      },
    });
    expect(preflight.ok).toBe(true);
    expect(preflight.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(preflight.headers.get("Access-Control-Allow-Headers")?.toLowerCase()).toContain(
      "authorization",
    );
    const { key } = await freshKey(topic.domain);
    const answer = await fetch(tickets, {
      method: "POST",
      headers: { Origin: "https://page.example", ...bearer(key) },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("Access-Control-Allow-Origin")).toBe("*");
    const problem = await fetch(tickets, {
      method: "POST",
      headers: { Origin: "https://page.example", ...bearer("wrong") },
    });
    expect(problem.headers.get("Access-Control-Allow-Origin")).toBe("*");
  });
});
