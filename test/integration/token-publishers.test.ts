/** PROTOCOL.md, 13.12 to 13.14: tokens that publish, made by a library of others. */
import { SignJWT } from "jose";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, sql } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open, refused } from "../support/client.ts";
import { noteSecret } from "../support/secrets.ts";
import { StreamPublisher } from "../support/stream-client.ts";
import { bearer, slugOf } from "../support/versions/tenant.ts";

const { url, sqlEndpoint } = inject("hub");
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");
const TAKEN = { token_secret: SECRET, token_publishers: true };
const OFF = { code: 4503, reason: "token-publishers-off" };
const DISPLACED = { code: 4509, reason: "publisher-displaced" };

interface Place {
  readonly domain: string;
  readonly key: string;
  readonly topic: string;
  readonly pub: string;
  readonly sub: string;
}

/** A topic that nobody has started, of a domain of its own. */
async function freshPlace(policy: Parameters<typeof freshDomain>[0] = TAKEN): Promise<Place> {
  const domain = await freshDomain(policy);
  const topic = crypto.randomUUID();
  const path = `${domain.domain}/${topic}`;
  return { ...domain, topic, pub: `${url}/ws/pub/${path}`, sub: `${url}/ws/sub/${path}` };
}

interface TokenOptions {
  readonly actions?: readonly string[];
  readonly topics?: readonly string[];
  readonly subject?: string;
  readonly seconds?: number;
}

async function tokenFor(
  { domain, topic }: Pick<Place, "domain" | "topic">,
  { actions = ["publish"], topics = [topic], subject = "user", seconds = 60 }: TokenOptions = {},
): Promise<string> {
  const token = await new SignJWT({
    authorization_details: [{ type: "wspubsub", actions, topics }],
  })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(`wspubsub:${domain}`)
    .setSubject(subject)
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));
  return noteSecret("token", token);
}

/** A ticket of the hub's. */
async function ticketFor(
  { domain, topic }: Place,
  credential: string,
  role: string,
): Promise<string> {
  const { status, body } = await admin(
    "POST",
    `${domain}/topics/${topic}/tickets?role=${role}`,
    credential,
  );
  expect(status).toBe(201);
  return noteSecret("ticket", String(body["ticket"]));
}

describe.runIf(sqlEndpoint !== null)("a token that publishes", () => {
  test("13.12 opens a publisher on the topics that it names, in a header and in subprotocols", async () => {
    const place = await freshPlace();
    const token = await tokenFor(place, { topics: [`${place.topic.slice(0, 8)}*`] });
    const first = await open(place.pub, [], bearer(token));
    const reader = await open(place.sub);
    first.send("raw");
    expect(await reader.texts(1)).toEqual(["raw"]);
    const encoded = `base64url.bearer.authorization.wspubsub.${Buffer.from(token).toString("base64url")}`;
    for (const name of [token, encoded]) {
      const next = await open(`${place.pub}?takeover=1`, ["wspubsub.raw", name]);
      next.send("by a subprotocol");
      expect(await reader.texts(1)).toEqual(["by a subprotocol"]);
    }
    const stream = await StreamPublisher.open(`${place.pub}?takeover=1`, bearer(token));
    await stream.publish(["a", "b"]);
    expect(await reader.texts(2)).toEqual(["a", "b"]);
    const elsewhere = place.pub.replace(place.topic, "elsewhere");
    expect(await slugOf(refused(elsewhere, [], bearer(token)))).toBe("401 token-rejected");
  });

  test("13.12 publishes or subscribes, as it says, and a browser is told why not", async () => {
    const place = await freshPlace();
    const [publishing, reading, both] = [
      await tokenFor(place),
      await tokenFor(place, { actions: ["subscribe"] }),
      await tokenFor(place, { actions: ["subscribe", "publish"] }),
    ];
    expect(await slugOf(refused(place.pub, [], bearer(reading)))).toBe("403 token-lacks-publish");
    const { body } = await refused(place.pub, [], bearer(reading));
    expect(JSON.parse(body)).toMatchObject({
      detail: expect.stringContaining('"publish"') as unknown,
    });
    const explained = await open(`${place.pub}?explain=1`, ["wspubsub.raw", reading]);
    expect(await explained.closed()).toEqual({ code: 4503, reason: "token-lacks-publish" });
    const publisher = await open(place.pub, [], bearer(both));
    expect(await slugOf(refused(place.sub, [], bearer(publishing)))).toBe(
      "403 token-lacks-subscribe",
    );
    const reader = await open(place.sub, [], bearer(both));
    publisher.send("to oneself");
    expect(await reader.texts(1)).toEqual(["to oneself"]);
  });

  test("13.12 is refused where the domain takes none, which is the default", async () => {
    const place = await freshPlace({ token_secret: SECRET });
    const token = await tokenFor(place);
    const { status, body } = await refused(place.pub, [], bearer(token));
    expect({ status, ...(JSON.parse(body) as object) }).toMatchObject({
      status: 403,
      type: "urn:wspubsub:problem:token-publishers-off",
      detail: expect.stringContaining("domains set --token-publishers true") as unknown,
    });
    await sql("update domains set token_publishers = true where domain = $1", [place.domain]);
    await admin("POST", `${place.domain}/sync`);
    await open(place.pub, [], bearer(token));
  });

  test("13.13 displaces no key and no other subject, and is displaced by a key", async () => {
    const place = await freshPlace();
    const takeover = `${place.pub}?takeover=1`;
    const [mine, theirs] = [await tokenFor(place), await tokenFor(place, { subject: "other" })];
    const first = await open(place.pub, [], bearer(place.key));
    expect(await slugOf(refused(takeover, [], bearer(mine)))).toBe("409 publisher-conflict");
    await first.close();
    // In grace, nobody is displaced.
    const second = await open(place.pub, [], bearer(mine));
    const reader = await open(place.sub);
    // The runtime ends the connection of one that never sent anything ten seconds late.
    second.send("second");
    expect(await reader.texts(1)).toEqual(["second"]);
    expect(await slugOf(refused(takeover, [], bearer(theirs)))).toBe("409 publisher-conflict");
    const third = await open(takeover, [], bearer(mine));
    expect(await second.closed()).toEqual(DISPLACED);
    third.send("third");
    expect(await reader.texts(1)).toEqual(["third"]);
    await open(takeover, [], bearer(place.key));
    expect(await third.closed()).toEqual(DISPLACED);
  });

  test("13.6 is closed when it expires, and its topic is in grace", async () => {
    const place = await freshPlace();
    const publisher = await open(place.pub, [], bearer(await tokenFor(place, { seconds: 6 })));
    const reader = await open(place.sub);
    publisher.send("here");
    expect(await reader.texts(1)).toEqual(["here"]);
    expect(await publisher.closed()).toEqual({ code: 4401, reason: "token-expired" });
    const next = await open(place.pub, [], bearer(await tokenFor(place)));
    next.send("renewed");
    expect(await reader.texts(1)).toEqual(["renewed"]);
  });

  test("16.3 is closed within a second of being switched off, and shown until then", async () => {
    const place = await freshPlace({ ...TAKEN, publishers: "shared" });
    const token = await tokenFor(place, { subject: "user-7" });
    const publisher = await open(place.pub, [], bearer(token));
    const byKey = await open(place.pub, [], bearer(place.key));
    publisher.send("here");
    const shown = await admin("GET", `${place.domain}/topics/${place.topic}/sockets`);
    expect(shown.body["sockets"]).toMatchObject([
      { role: "publisher", key: null, subject: "user-7" },
      { role: "publisher", key: expect.any(Number) as unknown, subject: null },
    ]);
    await sql("update domains set token_publishers = false where domain = $1", [place.domain]);
    expect((await admin("POST", `${place.domain}/sync`)).body).toMatchObject({
      closed: 1,
      told: 1,
    });
    expect(await publisher.closed()).toEqual(OFF);
    expect(await slugOf(refused(place.pub, [], bearer(token)))).toBe("403 token-publishers-off");
    const reader = await open(place.sub);
    byKey.send("stays");
    expect(await reader.texts(1)).toEqual(["stays"]);
  });

  test("13.14 a ticket opens one socket in the role that it was asked for, and no other", async () => {
    const place = await freshPlace({ ...TAKEN, subscribers: "token" });
    const both = await tokenFor(place, { actions: ["subscribe", "publish"], seconds: 6 });
    const [first, second, reading] = [
      await ticketFor(place, both, "publisher"),
      await ticketFor(place, place.key, "publisher"),
      await ticketFor(place, both, "subscriber"),
    ];
    const publisher = await open(`${place.pub}?ticket=${first}`);
    const reader = await open(`${place.sub}?ticket=${reading}`);
    publisher.send("by ticket");
    expect(await reader.texts(1)).toEqual(["by ticket"]);
    expect(await slugOf(refused(`${place.pub}?ticket=${first}`))).toBe("401 ticket-rejected");
    for (const path of [`${place.sub}?ticket=${second}`, `${place.pub}?ticket=${reading}`]) {
      expect(await slugOf(refused(path))).toBe("401 ticket-rejected");
    }
    const byKey = await open(`${place.pub}?takeover=1&ticket=${second}`);
    byKey.send("by a key's ticket");
    expect(await reader.texts(1)).toEqual(["by a key's ticket"]);
    expect(await publisher.closed()).toEqual(DISPLACED);
  });

  test("13.14 nobody gets a ticket for what the token does not allow", async () => {
    const place = await freshPlace();
    const path = `${place.domain}/topics/${place.topic}/tickets`;
    const [publishing, reading] = [
      await tokenFor(place),
      await tokenFor(place, { actions: ["subscribe"] }),
    ];
    for (const [query, token, slug] of [
      ["", publishing, "token-lacks-subscribe"],
      ["?role=subscriber", publishing, "token-lacks-subscribe"],
      ["?role=publisher", reading, "token-lacks-publish"],
      ["?role=both", publishing, "invalid-parameter"],
      ["?role=constructor", publishing, "invalid-parameter"],
    ] as const) {
      const { body } = await admin("POST", path + query, token);
      expect(body).toMatchObject({ type: `urn:wspubsub:problem:${slug}` });
    }
    const off = await freshPlace({ token_secret: SECRET });
    const refusal = await admin(
      "POST",
      `${off.domain}/topics/${off.topic}/tickets?role=publisher`,
      await tokenFor(off),
    );
    expect(refusal).toMatchObject({
      status: 403,
      body: { type: "urn:wspubsub:problem:token-publishers-off" },
    });
  });
});
