/**
 * Edge, domain and topic of this and of the previous version, in every combination: objects change their
 * version one by one, up to five minutes apart. Clauses of PROTOCOL.md that more than one part carries out.
 */
import { SignJWT } from "jose";
import { describe, expect, inject, test } from "vitest";
import { freshKey, sql } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { noteSecret } from "../support/secrets.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { MIXTURES, useEveryMixture } from "../support/versions/every-mixture.ts";
import type { MixedHub, Mixture } from "../support/versions/mixed-hub.ts";
import { bearer, newTenant, openAndSend, slugOf, turnedAway } from "../support/versions/tenant.ts";

const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");

describe.runIf(inject("hub").sqlEndpoint !== null)("mixed versions", () => {
  const hubOf = useEveryMixture();

  test.concurrent.each(MIXTURES)(
    "4.6 5.2 5.5 6.1 an exclusive topic: vacant, live, in conflict, taken over: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { pub, sub } = await newTenant(hub);
      expect(await slugOf(refused(sub("t")))).toBe("404 topic-not-live");
      const explained = await open(`${sub("t")}?explain=1`);
      expect(await explained.closed()).toEqual({ code: 4404, reason: "topic-not-live" });

      const first = await open(pub("t"));
      const raw = await open(sub("t"));
      const stream = await StreamSubscriber.open(sub("t"));
      first.send("raw");
      expect(await raw.texts(1)).toEqual(["raw"]);
      expect(await stream.messages(1)).toEqual(["raw"]);

      expect(await slugOf(refused(pub("t")))).toBe("409 publisher-conflict");
      const second = await StreamPublisher.open(`${pub("t")}?takeover=1`);
      expect(await first.closed()).toEqual({ code: 4509, reason: "publisher-displaced" });
      const binary = Buffer.from([0, 255]);
      await second.publish(["stream", binary]);
      expect(await stream.messages(2)).toEqual(["stream", binary]);
      expect(await raw.texts(1)).toEqual(["stream"]);
      expect(await raw.next()).toEqual({ type: "binary", bytes: binary });
    },
  );

  test.concurrent.each(MIXTURES)(
    "5.7 6.5 14.3 a shared topic, and what its domain allows: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { pub, sub } = await newTenant(hub, {
        publishers: "shared",
        max_publishers: 2,
        max_subscribers: 1,
        max_message_bytes: 10,
      });
      const early = await open(sub("t"));
      expect(await slugOf(refused(sub("t")))).toBe("503 too-many-subscribers");
      const [one, other] = [await open(pub("t")), await StreamPublisher.open(pub("t"))];
      expect(await slugOf(refused(pub("t")))).toBe("503 too-many-publishers");
      one.send("one");
      expect(await early.texts(1)).toEqual(["one"]);
      await other.publish(["other"]);
      expect(await early.texts(1)).toEqual(["other"]);
      one.send("more than ten");
      expect(await one.closed()).toMatchObject({ code: 1009 });
    },
  );

  test.concurrent.each(MIXTURES)(
    "9.4 9.8 a log: all of it, from a cursor, and on after the topic has ended: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const policy = { history_messages: 10, history_seconds: 3600, grace_seconds: 0 };
      const { pub, sub } = await newTenant(hub, policy);
      const first = await StreamPublisher.open(pub("t"));
      const cursor = await first.publish(["a"]);
      await first.publish(["b", "c"]);
      const early = await open(sub("t"));
      await first.client.close();
      expect(await early.closed()).toEqual({ code: 1000, reason: "topic-ended" });

      const second = await StreamPublisher.open(pub("t"));
      await second.publish(["d"]);
      const all = await StreamSubscriber.open(`${sub("t")}?since=earliest`);
      expect(all.opened.recovered).toBe(true);
      expect(await all.messages(4)).toEqual(["a", "b", "c", "d"]);
      const later = await StreamSubscriber.open(`${sub("t")}?since=${cursor}`);
      expect(later.opened.recovered).toBe(true);
      expect(await later.messages(3)).toEqual(["b", "c", "d"]);
      expect(await (await open(`${sub("t")}?since=-2`)).texts(2)).toEqual(["c", "d"]);
    },
  );

  const FINISHED = { history_messages: 10, history_seconds: 3600 };

  test.concurrent.each(MIXTURES.filter(({ topic }) => topic === "current"))(
    "10.14 a topic that is finished: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { pub, sub } = await newTenant(hubOf(mixture), FINISHED);
      const publisher = await StreamPublisher.open(pub("t"));
      const reader = await StreamSubscriber.open(sub("t"));
      await publisher.publish(["a"]);
      const id = publisher.sendFinish(["b"]);
      expect(await publisher.ack()).toMatchObject({ id });
      expect(await publisher.client.closed()).toEqual({ code: 1000, reason: "topic-finished" });
      expect(await reader.messages(2)).toEqual(["a", "b"]);
      expect(await reader.end()).toBe("finished");
    },
  );

  // An edge of the version before does not ask again where an object has just left memory, and fails.
  test.concurrent.each(MIXTURES.filter(isTaken))(
    "9.11 a topic that is over is read: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { pub, sub } = await newTenant(hubOf(mixture), FINISHED);
      const publisher = await StreamPublisher.open(pub("t"));
      publisher.sendFinish(["a"]);
      await publisher.ack();
      const late = await StreamSubscriber.open(`${sub("t")}?since=earliest`);
      expect(await late.messages(1)).toEqual(["a"]);
      expect(await late.end()).toBe("finished");
    },
  );

  test.concurrent.each(MIXTURES.filter(({ topic }) => topic !== "current"))(
    "10.14 a topic of the version before takes a finish for no frame, and goes on: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { pub, sub } = await newTenant(hubOf(mixture), FINISHED);
      const publisher = await StreamPublisher.open(pub("t"));
      const reader = await StreamSubscriber.open(sub("t"));
      await publisher.publish(["a"]);
      publisher.sendFinish(["b"]);
      expect(await publisher.error()).toMatchObject({ problem: { status: 400 } });
      expect(await publisher.client.closed()).toMatchObject({ code: 4500 });
      await (await StreamPublisher.open(pub("t"))).publish(["c"]);
      expect(await reader.messages(2)).toEqual(["a", "c"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "5.5 9.2 12.7 a topic behind edges of both versions: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const policy = { history_messages: 10, history_seconds: 3600 };
      const here = await newTenant(hub, policy);
      const there = here.on(hub.otherEdge);
      const first = await StreamPublisher.open(here.pub("t"));
      await first.publish(["a"]);
      const reader = await StreamSubscriber.open(`${there.sub("t")}?since=earliest`);
      expect(await reader.messages(1)).toEqual(["a"]);
      expect(await slugOf(refused(there.pub("t")))).toBe("409 publisher-conflict");

      const second = await StreamPublisher.open(`${there.pub("t", here.theirs)}?takeover=1`);
      expect((await first.client.closed()).code).toBe(4509);
      await second.publish(["b"]);
      expect(await reader.messages(1)).toEqual(["b"]);
      const { ours, theirs, domain } = here;
      const third = await StreamPublisher.open(`${here.pub("t", ours)}?takeover=1`);
      expect((await second.client.closed()).code).toBe(4509);
      await third.publish(["c"]);
      const all = await StreamSubscriber.open(`${there.sub("t")}?since=earliest`);
      expect(await all.messages(3)).toEqual(["a", "b", "c"]);

      const revoked = await hub.otherEdge.admin("DELETE", `${domain}/keys/${ours.id}`);
      expect(revoked.body).toMatchObject({ closed: 1 });
      expect(await third.client.closed()).toEqual(KEY_REJECTED);
      for (const { pub } of [here, there]) {
        expect(await turnedAway(pub("t"))).toBe("401 key-rejected");
      }
      await (await StreamPublisher.open(here.pub("t", theirs))).publish(["d"]);
      expect(await all.messages(1)).toEqual(["d"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "15.2 15.3 the register has a topic for as long as it is live: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, ours, pub, sub } = await newTenant(hub, { grace_seconds: 0 });
      const publishers = [await open(pub("one")), await open(pub("two"))];
      await open(sub("one"));
      await hub.untilListed(domain, ["one", "two"]);
      expect((await hub.admin("GET", `${domain}/topics/one`, ours.key)).body).toMatchObject({
        phase: "live",
        publishers: 1,
        subscribers: 1,
        since: expect.any(String) as unknown,
      });
      await publishers[0]?.close();
      await hub.untilListed(domain, ["two"]);
      const vacant = { phase: "vacant", since: null };
      expect((await hub.admin("GET", `${domain}/topics/one`)).body).toMatchObject(vacant);
      await open(pub("one"));
      await hub.untilListed(domain, ["one", "two"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "12.7 12.9 15.5 a revoked key is out on every live topic at once, and no other key is: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, ours, theirs, pub, sub } = await newTenant(hub, { publishers: "shared" });
      const out = [
        await openAndSend(pub("one")),
        await openAndSend(pub("two")),
        await openAndSend(pub("both")),
        await openAndSend(sub("theirs"), [], bearer(ours.key)),
      ];
      const stay = [
        await StreamPublisher.open(pub("both", theirs)),
        await StreamPublisher.open(pub("theirs", theirs)),
      ];
      await hub.untilListed(domain, ["both", "one", "theirs", "two"]);
      const { status, body } = await hub.admin("DELETE", `${domain}/keys/${ours.id}`);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { state: "revoked", closed: out.length },
      });
      for (const socket of out) expect(await socket.closed()).toEqual(KEY_REJECTED);
      // On a topic that was told, and on one that never heard of it.
      for (const topic of ["one", "both", "new"]) {
        expect(await turnedAway(pub(topic))).toBe("401 key-rejected");
      }
      for (const publisher of stay) await publisher.publish(["still here"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "12.7 15.4 a key that is switched off and synced is out, until it is switched on again: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, ours, theirs, pub } = await newTenant(hub);
      const publisher = await openAndSend(pub("ours"));
      const other = await StreamPublisher.open(pub("theirs", theirs));
      await hub.untilListed(domain, ["ours", "theirs"]);
      const sync = (): ReturnType<MixedHub["admin"]> =>
        hub.admin("POST", `${domain}/keys/${ours.id}/sync`);
      expect((await sync()).body).toMatchObject({ state: "live", closed: 0 });

      await sql("update apikeys set active = false where id = $1", [ours.id]);
      expect((await sync()).body).toMatchObject({ state: "inactive", closed: 1 });
      expect(await publisher.closed()).toEqual(KEY_REJECTED);
      for (const topic of ["ours", "new"]) {
        expect(await turnedAway(pub(topic))).toBe("401 key-rejected");
      }

      await sql("update apikeys set active = true where id = $1", [ours.id]);
      expect((await sync()).body).toMatchObject({ state: "live", closed: 0 });
      await (await StreamPublisher.open(pub("ours"))).publish(["back"]);
      await other.publish(["never away"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "12.7 15.4 a key ends when it expires, unless that was put off: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, pub } = await newTenant(hub);
      const [short, longer] = [
        await freshKey(domain, { expiresInSeconds: 6 }),
        await freshKey(domain, { expiresInSeconds: 7 }),
      ];
      const stays = await StreamPublisher.open(pub("stays", short));
      const ends = await openAndSend(pub("ends", longer));
      await hub.untilListed(domain, ["ends", "stays"]);
      await sql("update apikeys set expires_at = now() + interval '1 hour' where id = $1", [
        short.id,
      ]);
      const { body } = await hub.admin("POST", `${domain}/keys/${short.id}/sync`);
      expect(body).toMatchObject({ state: "live", closed: 0 });
      expect(await ends.closed()).toEqual(KEY_REJECTED);
      await stays.publish(["past the old end"]);
    },
  );

  test.concurrent.each(MIXTURES)(
    "12.7 13.1 13.2 13.5 a private topic opens to a token, a ticket and a key: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const tenant = await newTenant(hub, { subscribers: "token", token_secret: SECRET });
      const { domain, ours, theirs, pub, sub } = tenant;
      const publisher = await open(pub("t"));
      expect(await slugOf(refused(sub("t")))).toBe("401 token-required");

      const token = await new SignJWT({
        authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics: ["t"] }],
      })
        .setProtectedHeader({ alg: "HS256" })
        .setAudience(`wspubsub:${domain}`)
        .setSubject("user")
        .setExpirationTime(Math.floor(Date.now() / 1000) + 60)
        .sign(new TextEncoder().encode(SECRET));
      const { status, body } = await hub.admin(
        "POST",
        `${domain}/topics/t/tickets`,
        noteSecret("token", token),
      );
      expect(status).toBe(201);
      const ticket = `${sub("t")}?ticket=${noteSecret("ticket", String(body["ticket"]))}`;
      const byKey = await openAndSend(sub("t"), [], bearer(theirs.key));
      const subscribers = [
        byKey,
        await open(sub("t"), [], bearer(token)),
        await StreamSubscriber.open(ticket).then(({ client }) => client),
      ];
      expect(await slugOf(refused(ticket))).toBe("401 ticket-rejected");

      publisher.send("private");
      for (const subscriber of subscribers) {
        expect(await subscriber.texts(1)).toEqual([expect.stringContaining("private")]);
      }
      await hub.admin("DELETE", `${domain}/keys/${theirs.id}`);
      expect(await byKey.closed()).toEqual(KEY_REJECTED);
      expect((await hub.admin("GET", `${domain}/topics/t`, ours.key)).body).toMatchObject({
        publishers: 1,
        subscribers: 2,
      });
    },
  );

  const PUBLISHING = { publishers: "shared", token_publishers: true, token_secret: SECRET };

  test.concurrent.each(MIXTURES)(
    "13.13 13.14 a token displaces nobody, and its ticket reads nothing: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, ours, pub, sub, on } = await newTenant(hub, {
        ...PUBLISHING,
        publishers: "exclusive",
      });
      const isOld = mixture.edge !== "current";
      const byKey = await StreamPublisher.open(pub("t"));
      const token = await publishingToken(domain);
      const takeover = `${pub("t").replace(`/${ours.key}/`, "/")}?takeover=1`;
      const known = isTaken(mixture) ? "409 publisher-conflict" : "503 topic-unavailable";
      expect(await slugOf(refused(takeover, [], bearer(token)))).toBe(
        isOld ? "401 key-rejected" : known,
      );
      const tickets = `${domain}/topics/t/tickets?role=publisher`;
      const { status, body } = await hub.admin("POST", tickets, token);
      expect(status).toBe(isOld ? 401 : 201);
      const ticket = noteSecret("ticket", isOld ? "x".repeat(43) : String(body["ticket"]));
      for (const url of [sub("t"), on(hub.otherEdge).sub("t")]) {
        expect(await slugOf(refused(`${url}?ticket=${ticket}`))).toBe("401 ticket-rejected");
      }
      await byKey.publish(["never away"]);
    },
  );

  test.concurrent.each(MIXTURES.filter((mixture) => !isTaken(mixture)))(
    "13.12 a token does not publish where edge or topic do not know the policy: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { domain, ours, pub } = await newTenant(hubOf(mixture), PUBLISHING);
      const path = pub("t").replace(`/${ours.key}/`, "/");
      expect(await slugOf(refused(path, [], bearer(await publishingToken(domain))))).toBe(
        mixture.edge === "current" ? "503 topic-unavailable" : "401 key-rejected",
      );
    },
  );

  test.concurrent.each(MIXTURES.filter(isTaken))(
    "13.12 16.3 a token publishes, until a word without that policy comes: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, ours, pub, sub, on } = await newTenant(hub, PUBLISHING);
      const path = pub("t").replace(`/${ours.key}/`, "/");
      const publisher = await StreamPublisher.open(path, bearer(await publishingToken(domain)));
      const reader = await open(sub("t"));
      await publisher.publish(["by a token"]);
      expect(await reader.texts(1)).toEqual(["by a token"]);
      // Its edge is of the version before, and has asked Postgres just now.
      const byKey = await StreamPublisher.open(on(hub.otherEdge).pub("t"));
      expect(await publisher.client.closed()).toMatchObject({ code: 4503 });
      await byKey.publish(["by a key"]);
      expect(await reader.texts(1)).toEqual(["by a key"]);
    },
  );
});

describe.runIf(inject("hub").sqlEndpoint !== null)("posts to mixed versions", () => {
  const hubOf = useEveryMixture();

  test.concurrent.each(MIXTURES)(
    "17.6 17.10 are published where edge and topic know them, else nothing is: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const policy = { publishers: "shared", history_messages: 10 };
      const { domain, ours, pub, sub } = await newTenant(hub, policy);
      const post = async (body: string): Promise<string> => {
        const url = `${hub.url.replace(/^ws/, "http")}/v1/domains/${domain}/topics/t/messages`;
        const response = await fetch(url, { method: "POST", headers: bearer(ours.key), body });
        if (response.ok) return "200";
        const { type } = (await response.json()) as { type: string };
        return `${response.status} ${type.replace("urn:wspubsub:problem:", "")}`;
      };
      const isTakenThere = isTaken(mixture);
      const unknown = mixture.edge === "current" ? "503 topic-unavailable" : "404 not-found";
      expect(await post("one")).toBe(isTakenThere ? "200" : unknown);
      const publisher = await StreamPublisher.open(pub("t"));
      await publisher.publish(["two"]);
      const reader = await StreamSubscriber.open(`${sub("t")}?since=earliest`);
      expect(await reader.messages(isTakenThere ? 2 : 1)).toEqual(
        isTakenThere ? ["one", "two"] : ["two"],
      );
      await hub.admin("DELETE", `${domain}/keys/${ours.id}`);
      expect(await post("three")).toBe(
        mixture.edge === "current" ? "401 key-rejected" : "404 not-found",
      );
    },
  );

  test.concurrent.each(MIXTURES)(
    "15.11 are forgotten where edge and topic can, else nothing is: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { domain, pub, sub } = await newTenant(hub, { history_messages: 10 });
      const publisher = await StreamPublisher.open(pub("t"));
      await publisher.publish(["one"]);
      const { status, body } = await hub.admin("DELETE", `${domain}/topics/t/messages`);
      const isForgotten = isTaken(mixture);
      const refusal = mixture.edge === "current" ? 503 : 404;
      expect([status, body["messages"]]).toEqual(isForgotten ? [200, 1] : [refusal, undefined]);
      await publisher.publish(["two"]);
      const reader = await StreamSubscriber.open(`${sub("t")}?since=earliest`);
      expect(await reader.messages(isForgotten ? 1 : 2)).toEqual(
        isForgotten ? ["two"] : ["one", "two"],
      );
    },
  );
});

/** Whether a token may publish there. */
function isTaken({ edge, topic }: Mixture): boolean {
  return edge === "current" && topic === "current";
}

/** A token that publishes. */
async function publishingToken(domain: string): Promise<string> {
  const token = await new SignJWT({
    authorization_details: [{ type: "wspubsub", actions: ["publish"], topics: ["t"] }],
  })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(`wspubsub:${domain}`)
    .setSubject("user")
    .setExpirationTime(Math.floor(Date.now() / 1000) + 60)
    .sign(new TextEncoder().encode(SECRET));
  return noteSecret("token", token);
}
