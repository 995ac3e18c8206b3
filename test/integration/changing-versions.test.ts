/**
 * The version changes while there are topics, in both directions, since a deployment may be rolled back: what one
 * version stored the other one reads, and what is live goes on.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { databaseUrl, freshKey } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { noteSecret } from "../support/secrets.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { startMixedHub, type MixedHub, type Mixture } from "../support/versions/mixed-hub.ts";
import { bearer, newTenant, openAndSend, slugOf, turnedAway } from "../support/versions/tenant.ts";
import {
  bundleVersions,
  VERSION_NAMES,
  type VersionName,
  type Versions,
} from "../support/versions/version.ts";
import type { Part } from "../support/versions/workerd-config.ts";

const OTHER: Readonly<Record<VersionName, VersionName>> = {
  previous: "current",
  current: "previous",
};
const KEY_REJECTED = { code: 4501, reason: "key-rejected" };

/** Parts whose stored state another version finds, by the version that stored it. */
const RESTARTS = VERSION_NAMES.flatMap((from) =>
  (["topic", "domain", "edge, topic, domain"] as const).map((parts) => ({
    from,
    to: OTHER[from],
    parts,
  })),
);
/** One part changes while the others go on, which are all of one version. */
const CHANGES = VERSION_NAMES.flatMap((from) =>
  VERSION_NAMES.map((others) => ({ from, to: OTHER[from], others })),
);

function all(version: VersionName): Mixture {
  return { edge: version, topic: version, domain: version };
}

describe.runIf(inject("hub").sqlEndpoint !== null)("changing versions", () => {
  let folder: string;
  let versions: Versions;
  const running: Set<MixedHub> = new Set();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "wspubsub-changing-"));
    versions = await bundleVersions();
  });

  afterAll(async () => {
    // Those of tests that ran into their time limit.
    for (const hub of running) await hub.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs steps on a hub that is stopped after them, and must not have logged an error. */
  async function withHub<T>(
    options: { mixture: Mixture; place?: string; changing?: Part[] },
    steps: (hub: MixedHub) => Promise<T>,
  ): Promise<T> {
    const { place = await newPlace(), ...rest } = options;
    const hub = await startMixedHub({
      versions,
      folder: place,
      databaseUrl: databaseUrl(),
      ...rest,
    });
    running.add(hub);
    try {
      return await steps(hub);
    } finally {
      running.delete(hub);
      await hub.stop();
      expect(hub.errors()).toEqual([]);
    }
  }

  function newPlace(): Promise<string> {
    return mkdtemp(join(folder, "hub-"));
  }

  test("9.11 a topic that ended under the version before can be read, and was abandoned", async () => {
    const place = await newPlace();
    const history = { history_seconds: 3600, grace_seconds: 0 };
    const stored = await withHub({ mixture: all("previous"), place }, async (hub) => {
      const tenant = await newTenant(hub, history);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      const watcher = await open(tenant.sub("t"));
      await publisher.publish(["a"]);
      await publisher.client.close();
      expect(await watcher.texts(1)).toEqual(["a"]);
      expect(await watcher.closed()).toEqual({ code: 1000, reason: "topic-ended" });
      return tenant;
    });
    await withHub({ mixture: all("current"), place }, async (hub) => {
      const late = await StreamSubscriber.open(`${stored.on(hub).sub("t")}?since=earliest`);
      expect(await late.messages(1)).toEqual(["a"]);
      expect(await late.end()).toBe("abandoned");
    });
  });

  test("10.14 what finished a topic outlives a time of the version before", async () => {
    const place = await newPlace();
    const stored = await withHub({ mixture: all("current"), place }, async (hub) => {
      const tenant = await newTenant(hub, { history_seconds: 3600 });
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      publisher.sendFinish(["a"], "end");
      return { tenant, cursor: (await publisher.ack()).cursor };
    });
    await withHub({ mixture: all("previous"), place }, async (hub) => {
      expect(await slugOf(refused(stored.tenant.on(hub).sub("t")))).toBe("404 topic-not-live");
    });
    await withHub({ mixture: all("current"), place }, async (hub) => {
      const tenant = stored.tenant.on(hub);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      publisher.sendFinish(["a"], "end");
      expect((await publisher.ack()).cursor).toBe(stored.cursor);
    });
    // The next life of the version before goes on in the same log.
    await withHub({ mixture: all("previous"), place }, async (hub) => {
      const tenant = stored.tenant.on(hub);
      await (await StreamPublisher.open(tenant.pub("t"))).publish(["b"]);
      const reader = await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`);
      expect(await reader.messages(2)).toEqual(["a", "b"]);
    });
  });

  test.concurrent.each(RESTARTS)(
    "5.1 9.2 10.9 12.7 13.5 15.2 what $from stored, $to reads: $parts",
    async ({ from, to, parts }) => {
      const place = await newPlace();
      const stored = await withHub({ mixture: all(from), place }, async (hub) => {
        const history = { history_messages: 10, history_seconds: 3600 };
        const log = await newTenant(hub, history);
        const publisher = await StreamPublisher.open(log.pub("t"));
        const cursor = await publisher.publish(["a"], "first");
        await publisher.publish(["b", "c"]);

        const keys = await newTenant(hub, { grace_seconds: 1 });
        const dead = await freshKey(keys.domain);
        const closed = await openAndSend(keys.pub("dead", dead));
        await open(keys.pub("comes back"));
        await open(keys.pub("does not"));
        await open(keys.pub("theirs", keys.theirs));
        await hub.admin("DELETE", `${keys.domain}/keys/${dead.id}`);
        expect(await closed.closed()).toEqual(KEY_REJECTED);
        await hub.untilListed(keys.domain, ["comes back", "does not", "theirs"]);

        const secret = await newTenant(hub, { subscribers: "token" });
        await open(secret.pub("t"));
        const tickets = `${secret.domain}/topics/t/tickets`;
        const { body } = await hub.admin("POST", tickets, secret.ours.key);
        const ticket = noteSecret("ticket", String(body["ticket"]));
        return { log, cursor, keys, dead, secret, ticket };
      });

      const mixture = parts === "edge, topic, domain" ? all(to) : { ...all(from), [parts]: to };
      await withHub({ mixture, place }, async (hub) => {
        const log = stored.log.on(hub);
        const earliest = await StreamSubscriber.open(`${log.sub("t")}?since=earliest`);
        expect(earliest.opened.recovered).toBe(true);
        expect(await earliest.messages(3)).toEqual(["a", "b", "c"]);
        const later = await StreamSubscriber.open(`${log.sub("t")}?since=${stored.cursor}`);
        expect(later.opened.recovered).toBe(true);
        expect(await later.messages(2)).toEqual(["b", "c"]);
        const publisher = await StreamPublisher.open(log.pub("t"));
        expect(await publisher.publish(["a"], "first")).toBe(stored.cursor);
        await publisher.publish(["d"]);
        expect(await later.messages(1)).toEqual(["d"]);

        const secret = stored.secret.on(hub);
        const byTicket = `${secret.sub("t")}?ticket=${stored.ticket}`;
        await open(byTicket);
        expect(await slugOf(refused(byTicket))).toBe("401 ticket-rejected");

        // Before anybody comes back.
        const keys = stored.keys.on(hub);
        await hub.untilListed(keys.domain, ["comes back", "does not", "theirs"]);
        expect(await turnedAway(keys.pub("dead", stored.dead))).toBe("401 key-rejected");
        const back = await openAndSend(keys.pub("comes back"));
        const theirs = await StreamPublisher.open(keys.pub("theirs", keys.theirs));
        const revoked = await hub.admin("DELETE", `${keys.domain}/keys/${keys.ours.id}`);
        expect(revoked).toMatchObject({ status: 200, body: { state: "revoked", closed: 1 } });
        expect(await back.closed()).toEqual(KEY_REJECTED);
        expect(await turnedAway(keys.pub("comes back"))).toBe("401 key-rejected");
        await theirs.publish(["still here"]);
        // One that nobody visited was told as well: that woke it, it found itself alone and ended.
        await hub.untilListed(keys.domain, ["theirs"]);
      });
    },
  );

  test.concurrent.each(CHANGES)(
    "12.7 13.5 15.2 the domain changes from $from to $to under live topics of $others",
    async ({ from, to, others }) => {
      const mixture = { ...all(others), domain: from };
      await withHub({ mixture, changing: ["domain"] }, async (hub) => {
        const { domain, ours, theirs, pub, sub } = await newTenant(hub, {
          subscribers: "token",
          grace_seconds: 0,
        });
        const out = [await openAndSend(pub("one")), await openAndSend(pub("two"))];
        const stays = await StreamPublisher.open(pub("stays", theirs));
        const reader = await openAndSend(sub("stays"), [], bearer(ours.key));
        await hub.untilListed(domain, ["one", "stays", "two"]);
        const tickets = `${domain}/topics/stays/tickets`;
        const { body } = await hub.admin("POST", tickets, theirs.key);
        const ticket = noteSecret("ticket", String(body["ticket"]));

        await hub.change("domain", to);
        await hub.untilListed(domain, ["one", "stays", "two"]);
        const byTicket = await StreamSubscriber.open(`${sub("stays")}?ticket=${ticket}`);
        await open(pub("begins", theirs));
        await hub.untilListed(domain, ["begins", "one", "stays", "two"]);

        const revoked = await hub.admin("DELETE", `${domain}/keys/${ours.id}`);
        expect(revoked).toMatchObject({ status: 200, body: { state: "revoked", closed: 3 } });
        for (const socket of [...out, reader]) {
          expect(await socket.closed()).toEqual(KEY_REJECTED);
        }
        for (const topic of ["one", "new"]) {
          expect(await turnedAway(pub(topic))).toBe("401 key-rejected");
        }
        await stays.publish(["still here"]);
        expect(await byTicket.messages(1)).toEqual(["still here"]);
        await hub.untilListed(domain, ["begins", "stays"]);
      });
    },
  );

  test.concurrent.each(CHANGES)(
    "5.8 9.4 12.7 15.2 a topic changes from $from to $to in a domain of $others",
    async ({ from, to, others }) => {
      const mixture = { ...all(others), topic: from };
      await withHub({ mixture, changing: ["topic"] }, async (hub) => {
        const policy = { history_messages: 10, history_seconds: 3600, grace_seconds: 1 };
        const { domain, ours, theirs, pub, sub } = await newTenant(hub, policy);
        const before = await StreamPublisher.open(pub("t"));
        const subscriber = await StreamSubscriber.open(sub("t"));
        await open(pub("left alone"));
        await open(pub("theirs", theirs));
        const cursor = await before.publish(["a"], "first");
        expect(await subscriber.until(cursor)).toEqual(["a"]);
        await hub.untilListed(domain, ["left alone", "t", "theirs"]);

        await hub.change("topic", to);
        expect(await before.client.closed()).toMatchObject({ code: 1006 });
        expect(await subscriber.client.closed()).toMatchObject({ code: 1006 });
        const after = await StreamPublisher.open(pub("t"));
        const again = await StreamSubscriber.open(`${sub("t")}?since=${cursor}`);
        expect(again.opened.recovered).toBe(true);
        expect(await after.publish(["a"], "first")).toBe(cursor);
        await after.publish(["b"]);
        expect(await again.messages(1)).toEqual(["b"]);
        const other = await StreamPublisher.open(pub("theirs", theirs));

        const revoked = await hub.admin("DELETE", `${domain}/keys/${ours.id}`);
        expect(revoked).toMatchObject({ status: 200, body: { closed: 1 } });
        expect(await after.client.closed()).toEqual(KEY_REJECTED);
        expect(await turnedAway(pub("t"))).toBe("401 key-rejected");
        await other.publish(["still here"]);
        await hub.untilListed(domain, ["theirs"]);
      });
    },
  );
});
