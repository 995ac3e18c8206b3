/** PROTOCOL.md, 12.6 to 12.9 and section 15: keys that end, are revoked and rotated, with real SQL and sockets. */
import { WebSocket as PartySocket } from "partysocket";
import { describe, expect, inject, test, vi } from "vitest";
import { freshDomain, freshKey, sql, topicUrls } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open, refused, type Client } from "../support/client.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";

const { url, sqlEndpoint, adminToken } = inject("hub");
const REJECTED = { code: 4501, reason: "key-rejected" };

/**
 * A publisher that has sent something: the runtime ends the TCP connection of one that has not up to ten
 * seconds after its Close frame (ARCHITECTURE.md, Decision 12), and only then does `ws` report the close.
 */
async function openAndSend(pub: string): Promise<Client> {
  const publisher = await open(pub);
  publisher.send("here");
  return publisher;
}

function from(address: string): Record<string, string> {
  return { "CF-Connecting-IP": address };
}

/** A fresh domain with a key whose number is known, and the URLs of a fresh topic. */
async function freshTopicWithKey(
  policy: Parameters<typeof freshDomain>[0] = null,
  columns: Parameters<typeof freshKey>[1] = {},
): Promise<{ domain: string; id: number; key: string; pub: string; sub: string; topic: string }> {
  const { domain } = await freshDomain(policy);
  const { key, id } = await freshKey(domain, columns);
  const urls = topicUrls(url, { key, domain });
  return { domain, id, key, ...urls, topic: urls.sub.split("/").at(-1) ?? "" };
}

describe.runIf(sqlEndpoint !== null && adminToken !== null)("a key that ends", () => {
  test("12.6 several keys of a domain are good at the same time", async () => {
    const { domain } = await freshDomain({ publishers: "shared" });
    const topic = topicUrls(url, { key: "KEY", domain });
    const subscriber = await open(topic.sub);
    for (const text of ["one", "two"]) {
      const { key } = await freshKey(domain);
      const publisher = await open(topic.pub.replace("KEY", key));
      publisher.send(text);
      expect(await subscriber.texts(1)).toEqual([text]);
    }
  });

  test("12.6 a key that opens something is noted as used, one that does not is not", async () => {
    const { domain, id, key, pub } = await freshTopicWithKey();
    const inactive = await freshKey(domain, { active: false });
    await refused(pub.replace(key, inactive.key));
    await open(pub);
    const isUsed =
      "select last_used_at > now() - interval '1 minute' as used from apikeys where id = $1";
    await vi.waitFor(async () => expect(await sql(isUsed, [id])).toEqual([{ used: true }]), 10_000);
    expect(await sql(isUsed, [inactive.id])).toEqual([{ used: null }]);
  });

  test("12.6 an expired, a revoked and an inactive key open nothing, all alike", async () => {
    const { domain } = await freshDomain();
    const expired = await freshKey(domain, { expiresInSeconds: -1 });
    const inactive = await freshKey(domain, { active: false });
    const revoked = await freshKey(domain);
    await sql("update apikeys set revoked_at = now() where id = $1", [revoked.id]);
    const answers = new Set<string>();
    for (const { key } of [expired, inactive, revoked, { key: "unknown" }]) {
      const refusal = await refused(topicUrls(url, { key, domain }).pub);
      answers.add(`${refusal.status} ${refusal.body}`);
    }
    expect(answers.size).toBe(1);
  });

  test.each(["infinity", "294276-01-01", "2190-01-01"])(
    "12.6 a key that expires at %s does not",
    async (end) => {
      const { domain, id, pub } = await freshTopicWithKey();
      await sql("update apikeys set expires_at = $2 where id = $1", [id, end]);
      await open(pub);
      const { body } = await admin("POST", `${domain}/keys/${id}/sync`);
      expect(body).toMatchObject({ state: "live", expires_at: null, closed: 0 });
    },
  );

  test("15.4 15.5 a key that ended at -infinity is synced and revoked", async () => {
    const { domain, id } = await freshTopicWithKey();
    await sql("update apikeys set expires_at = '-infinity' where id = $1", [id]);
    const expires_at = "1970-01-01T00:00:00.000Z";
    const path = `${domain}/keys/${id}`;
    const synced = await admin("POST", `${path}/sync`);
    expect(synced).toMatchObject({ status: 200, body: { state: "expired", expires_at } });
    const revoked = await admin("DELETE", path);
    expect(revoked).toMatchObject({ status: 200, body: { state: "revoked", expires_at } });
  });

  test("12.7 a publisher is closed when its key expires, and stays out", async () => {
    const { pub, sub } = await freshTopicWithKey(null, { expiresInSeconds: 2 });
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("in time");
    expect(await subscriber.texts(1)).toEqual(["in time"]);
    expect(await publisher.closed()).toEqual(REJECTED);
    expect((await refused(pub)).status).toBe(401);
  });

  test("12.7 15.5 a revoked key's publishers are closed at once, on every topic, and no cache lets them in", async () => {
    const { domain, id, key } = await freshTopicWithKey();
    const topics = Array.from({ length: 20 }, () => topicUrls(url, { key, domain }));
    const publishers = await Promise.all(topics.map(({ pub }) => openAndSend(pub)));
    const { status, body } = await admin("DELETE", `${domain}/keys/${id}`);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        domain,
        id,
        state: "revoked",
        expires_at: null,
        closed: 20,
        told: 20,
        missed: 0,
        held: false,
      },
    });
    for (const publisher of publishers) expect(await publisher.closed()).toEqual(REJECTED);
    for (const { pub } of topics) expect((await refused(pub)).status).toBe(401);
    // A topic that never heard of it, and one whose subscribers come by key.
    const elsewhere = topicUrls(url, { key, domain });
    expect((await refused(elsewhere.pub)).status).toBe(401);
    const headers = { Authorization: `Bearer ${key}` };
    expect((await refused(elsewhere.sub, [], headers)).status).toBe(401);
  });

  test("2.1 12.7 an address of any length is live, known to its domain, and told of its keys", async () => {
    // The runtime tells an object no name of more than 1,024 bytes.
    const domain = "😀".repeat(64);
    const topic = "👋".repeat(256);
    const { key, id } = await freshKey(domain);
    const path = `${encodeURIComponent(domain)}/${encodeURIComponent(topic)}`;
    const publisher = await open(`${url}/ws/pub/${key}/${path}`);
    const subscriber = await open(`${url}/ws/sub/${path}`);
    publisher.send("far out");
    expect(await subscriber.texts(1)).toEqual(["far out"]);
    const [of, name] = path.split("/");
    const shown = await admin("GET", `${of}/topics/${name}`);
    expect(shown.body).toMatchObject({ topic, phase: "live", publishers: 1, subscribers: 1 });
    expect((await admin("DELETE", `${of}/keys/${id}`)).body).toMatchObject({ closed: 1 });
    expect(await publisher.closed()).toEqual(REJECTED);
    expect((await refused(`${url}/ws/pub/${key}/${path}`)).status).toBe(401);
  });

  test("12.7 other keys of the domain are not touched", async () => {
    const { domain, id, key } = await freshTopicWithKey({ publishers: "shared" });
    const other = await freshKey(domain);
    const topic = topicUrls(url, { key, domain });
    const kicked = await openAndSend(topic.pub);
    const stays = await open(topic.pub.replace(key, other.key));
    const subscriber = await open(topic.sub);
    await admin("DELETE", `${domain}/keys/${id}`);
    expect(await kicked.closed()).toEqual(REJECTED);
    stays.send("still here");
    expect(await subscriber.texts(1)).toEqual(["still here"]);
  });

  test("12.7 15.4 a key that is switched off by SQL is off as soon as it is synced, and on again", async () => {
    const { domain, id, pub } = await freshTopicWithKey();
    const publisher = await openAndSend(pub);
    await sql("update apikeys set active = false where id = $1", [id]);
    const off = await admin("POST", `${domain}/keys/${id}/sync`);
    expect(off.body).toMatchObject({ state: "inactive", closed: 1 });
    expect(await publisher.closed()).toEqual(REJECTED);
    expect((await refused(pub)).status).toBe(401);
    await sql("update apikeys set active = true where id = $1", [id]);
    expect((await admin("POST", `${domain}/keys/${id}/sync`)).body).toMatchObject({
      state: "live",
    });
    await open(pub);
  });

  test("12.7 15.4 an end that is put forward closes in time", async () => {
    const { domain, id, pub } = await freshTopicWithKey();
    const publisher = await openAndSend(pub);
    await sql("update apikeys set expires_at = now() + interval '2 seconds' where id = $1", [id]);
    const { body } = await admin("POST", `${domain}/keys/${id}/sync`);
    expect(body).toMatchObject({ state: "live", closed: 0, expires_at: expect.any(String) });
    expect(await publisher.closed()).toEqual(REJECTED);
  });

  test("12.7 a kicked publisher with a reconnecting client stays out", async () => {
    const { domain, id, pub } = await freshTopicWithKey();
    const outcomes: string[] = [];
    const socket = new PartySocket(pub, [], {
      minReconnectionDelay: 20,
      maxReconnectionDelay: 50,
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.addEventListener("open", () => {
      outcomes.push("open");
      socket.send("here");
    });
    socket.addEventListener("close", () => {
      outcomes.push("close");
      if (outcomes.length > 12) resolve();
    });
    const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>();
    socket.addEventListener("open", () => onOpen(), { once: true });
    await opened;
    await admin("DELETE", `${domain}/keys/${id}`);
    await promise;
    socket.close();
    expect(outcomes.filter((outcome) => outcome === "open")).toHaveLength(1);
  });

  test("12.9 rotation: nothing that was published is lost, and nobody is cut off", async () => {
    const { domain, id, pub, sub, key } = await freshTopicWithKey({ publishers: "shared" });
    const before = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const sent: string[] = [];
    async function publish(publisher: StreamPublisher): Promise<void> {
      const text = `message ${sent.length}`;
      sent.push(text);
      await publisher.publish([text]);
    }
    for (let n = 0; n < 20; n++) await publish(before);
    const next = await freshKey(domain);
    await sql("update apikeys set expires_at = now() + interval '8 seconds' where id = $1", [id]);
    await admin("POST", `${domain}/keys/${id}/sync`);
    for (let n = 0; n < 20; n++) await publish(before);
    const after = await StreamPublisher.open(pub.replace(key, next.key));
    for (let n = 0; n < 20; n++) await publish(n % 2 === 0 ? before : after);
    expect(await before.client.closed()).toEqual(REJECTED);
    for (let n = 0; n < 20; n++) await publish(after);
    expect(await subscriber.messages(80)).toEqual(sent);
  });
});

describe.runIf(sqlEndpoint !== null && adminToken !== null)("the routes under /v1", () => {
  test("15.2 15.6 lists the live topics of a domain, page by page", async () => {
    const { domain, key } = await freshTopicWithKey({ grace_seconds: 0 });
    const names = ["a", "b/c", "ü", "%25"];
    const open3 = await Promise.all(
      names.map((name) => open(`${url}/ws/pub/${key}/${domain}/${encodeURIComponent(name)}`)),
    );
    const all = await admin("GET", `${domain}/topics`);
    expect(all.status).toBe(200);
    expect(all.headers.get("Cache-Control")).toBe("no-store");
    expect(all.body).toMatchObject({ domain, next: null, as_of: expect.any(String) });
    const topics = all.body["topics"] as { topic: string; since: string }[];
    expect(topics.map(({ topic }) => topic)).toEqual(["%25", "a", "b/c", "ü"]);
    expect(topics.every(({ since }) => !Number.isNaN(Date.parse(since)))).toBe(true);

    const first = await admin("GET", `${domain}/topics?limit=3`);
    expect(first.body["next"]).toBe("b/c");
    const second = await admin("GET", `${domain}/topics?limit=3&after=b/c`);
    expect(second.body).toMatchObject({ topics: [{ topic: "ü" }], next: null });
    expect((await admin("GET", `${domain}/topics?limit=0`)).status).toBe(400);

    await open3[0]?.close();
    const gone = await admin("GET", `${domain}/topics/a`);
    expect(gone.body).toMatchObject({ phase: "vacant", publishers: 0, since: null });
  });

  test("15.3 says how a topic is", async () => {
    const { domain, key, topic, pub, sub } = await freshTopicWithKey();
    const publisher = await open(pub);
    await open(sub);
    await open(sub);
    const live = await admin("GET", `${domain}/topics/${topic}`, key);
    expect(live).toMatchObject({
      status: 200,
      body: { domain, topic, phase: "live", publishers: 1, subscribers: 2 },
    });
    expect(Date.parse(String(live.body["since"]))).toBeLessThanOrEqual(Date.now());
    await publisher.close();
    expect((await admin("GET", `${domain}/topics/${topic}`)).body).toMatchObject({
      phase: "grace",
      publishers: 0,
      subscribers: 2,
    });
    expect((await admin("GET", `${domain}/topics/nobody`)).body).toMatchObject({
      phase: "vacant",
      publishers: 0,
      subscribers: 0,
      since: null,
    });
  });

  test("15.1 nobody else is let in, and only the admin changes keys", async () => {
    const { domain, id, key } = await freshTopicWithKey();
    const other = await freshDomain();
    for (const credential of [null, "wrong", other.key]) {
      expect((await admin("GET", `${domain}/topics`, credential)).status).toBe(401);
      expect((await admin("GET", `${domain}/topics/t`, credential)).status).toBe(401);
    }
    for (const credential of [null, "wrong", key]) {
      expect((await admin("DELETE", `${domain}/keys/${id}`, credential)).status).toBe(401);
      expect((await admin("POST", `${domain}/keys/${id}/sync`, credential)).status).toBe(401);
    }
    await open(topicUrls(url, { key, domain }).pub);
  });

  test("15.4 15.5 a key that the domain does not have is not found", async () => {
    const { domain, id } = await freshTopicWithKey();
    const other = await freshDomain();
    expect((await admin("DELETE", `${other.domain}/keys/${id}`)).status).toBe(404);
    expect((await admin("POST", `${domain}/keys/999999999/sync`)).status).toBe(404);
    expect((await admin("DELETE", `${domain}/keys/1e3`)).status).toBe(400);
    expect((await admin("DELETE", `${domain}/keys/-1`)).status).toBe(400);
  });
});

describe.runIf(sqlEndpoint !== null)("the domain's limits", () => {
  test("14.2 a raw publisher that is over its rate is closed, and what it sent before is delivered", async () => {
    const { pub, sub } = topicUrls(url, await freshDomain({ messages_per_second: 5 }));
    const publisher = await open(pub);
    const subscriber = await open(sub);
    // More than one second gives back, however slowly they arrive.
    for (let n = 0; n < 12; n++) publisher.send(String(n));
    expect(await subscriber.texts(5)).toEqual(["0", "1", "2", "3", "4"]);
    expect(await publisher.closed()).toEqual({ code: 4429, reason: "too-many-requests" });
  });

  test("14.2 a stream publisher is told first, and closed when it goes on", async () => {
    const { pub, sub } = topicUrls(url, await freshDomain({ messages_per_second: 5 }));
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const batch = Array.from({ length: 500 }, (_, n) => String(n));
    await publisher.publish(batch.slice(0, 5));
    // So many again are only due in a second.
    publisher.send(batch.slice(5, 10));
    const { problem } = await publisher.error();
    expect(problem).toMatchObject({
      type: "urn:wspubsub:problem:too-many-requests",
      status: 429,
      retryAfter: 1,
    });
    for (let n = 0; n < 3; n++) publisher.send(batch);
    expect(await publisher.client.closed()).toEqual({ code: 4429, reason: "too-many-requests" });
    expect(await subscriber.messages(5)).toEqual(batch.slice(0, 5));
  });

  test("14.3 a topic takes as many publishers and subscribers as its domain allows", async () => {
    const domain = await freshDomain({
      publishers: "shared",
      max_publishers: 2,
      max_subscribers: 2,
    });
    const { pub, sub } = topicUrls(url, domain);
    const first = await open(pub);
    await open(pub);
    const refusal = await refused(pub);
    expect(refusal.status).toBe(503);
    expect(Number(refusal.headers["retry-after"])).toBeGreaterThan(0);
    expect(refusal.body).toContain("urn:wspubsub:problem:too-many-publishers");
    await open(sub);
    await open(sub);
    expect((await refused(sub)).body).toContain("urn:wspubsub:problem:too-many-subscribers");
    await first.close();
    await open(pub);
  });

  test("14.12 a domain takes as many topics as its policy allows", async () => {
    const domain = await freshDomain({ max_topics: 2, grace_seconds: 0 });
    const [one, two, three] = [1, 2, 3].map(() => topicUrls(url, domain));
    if (!one || !two || !three) throw new Error("Three URLs are needed");
    const first = await open(one.pub);
    await open(two.pub);
    const refusal = await refused(three.pub);
    expect(refusal.status).toBe(503);
    expect(Number(refusal.headers["retry-after"])).toBeGreaterThan(0);
    expect(refusal.body).toContain("urn:wspubsub:problem:too-many-topics");
    const explained = await open(`${three.pub}?explain=1`);
    expect(await explained.closed()).toEqual({ code: 4453, reason: "too-many-topics" });
    await first.close();
    await vi.waitFor(() => open(three.pub));
  });

  test("14.1 credentials that open nothing are limited by address, and good ones are not", async () => {
    const { key, domain } = await freshDomain();
    const { pub } = topicUrls(url, { key, domain });
    const publisher = await open(pub, [], from("192.0.2.1"));
    await publisher.close();
    let limited = 0;
    for (let n = 0; n < 70 && limited === 0; n++) {
      const { status } = await refused(pub.replace(key, `wrong-${n}`), [], from("192.0.2.1"));
      if (status === 429) limited += 1;
    }
    expect(limited).toBe(1);
    // Others behind the same address, whose key is known, are let in.
    const again = await open(pub, [], from("192.0.2.1"));
    again.send("let in");
    expect((await refused(pub.replace(key, "wrong"), [], from("192.0.2.2"))).status).toBe(401);
  });
});
