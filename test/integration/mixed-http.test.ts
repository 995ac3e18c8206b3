/**
 * What is published, read, finished and deleted by HTTP at a hub of two versions, in every combination. An answer is a
 * true success or says that the hub is being updated; an edge of the version before knows none of it. What was answered
 * for is there, whichever edge is asked.
 */
import { describe, expect, inject, test } from "vitest";
import { open } from "../support/client.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { ask, edgesOf, post } from "../support/versions/ask-messages.ts";
import { MIXTURES, useEveryMixture } from "../support/versions/every-mixture.ts";
import { newTenant } from "../support/versions/tenant.ts";

const KEPT = { history_messages: 100, history_seconds: 3600 };
const UNKNOWN = "404 not-found";
const OUTDATED = "503 topic-unavailable";
const NEW_TOPIC = MIXTURES.filter(({ topic }) => topic === "current");
const OLD_TOPIC = MIXTURES.filter(({ topic }) => topic === "previous");

describe.runIf(inject("hub").sqlEndpoint !== null)("HTTP at mixed versions", () => {
  const hubOf = useEveryMixture();

  test.concurrent.each(MIXTURES)(
    "17.5 17.7 18.2 a post is published once or refused, and pages say so: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const { current, old } = edgesOf(hub, mixture);
      const tenant = await newTenant(old, KEPT);
      expect((await post(old, tenant, "nobody's", "0")).said).toBe(UNKNOWN);
      expect((await ask(old, tenant)).said).toBe(UNKNOWN);

      const first = await post(current, tenant, "a", "1");
      const isNew = mixture.topic === "current";
      expect(first.said).toBe(isNew ? "200" : OUTDATED);
      const again = await post(current, tenant, "a", "1");
      expect(again.said).toBe(isNew ? "200" : OUTDATED);
      expect(again.body["cursor"]).toBe(first.body["cursor"]);
      expect((await post(current, tenant, "b", "1")).said).toBe(isNew ? "422 id-reused" : OUTDATED);

      const publisher = await StreamPublisher.open(tenant.pub("t"));
      const cursor = await publisher.publish(["c"]);
      expect((await post(current, tenant, "d", "2")).said).toBe(
        isNew ? "409 publisher-conflict" : OUTDATED,
      );
      const messages = isNew ? ["a", "c"] : ["c"];
      const page = await ask(current, tenant);
      expect(page.said).toBe(isNew ? "200" : OUTDATED);
      const written = { cursor, gap: null, more: false, end: null, messages };
      expect(page.body).toMatchObject(isNew ? written : {});
      const reader = await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`);
      expect(await reader.messages(messages.length)).toEqual(messages);
    },
  );

  test.concurrent.each(NEW_TOPIC)(
    "18.5 a long poll brings what is published at the other edge: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { current, old } = edgesOf(hubOf(mixture), mixture);
      const tenant = await newTenant(old, KEPT);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      const before = await publisher.publish(["before"]);
      const polled = ask(current, tenant, `?since=${before}&wait=30`);
      const cursor = await publisher.publish(["after"]);
      const { said, body } = await polled;
      expect(said).toBe("200");
      expect(body).toMatchObject({ cursor, gap: null, messages: ["after"] });
    },
  );

  test.concurrent.each(OLD_TOPIC)(
    "15.10 17.14 18.5 one of the version before is neither polled, finished nor deleted: edge $edge, domain $domain",
    async (mixture) => {
      const { current, old } = edgesOf(hubOf(mixture), mixture);
      const tenant = await newTenant(old, KEPT);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      const cursor = await publisher.publish(["a"]);
      const reader = await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`);
      expect((await ask(current, tenant, `?since=${cursor}&wait=30`)).said).toBe(OUTDATED);
      expect((await current.admin("DELETE", `${tenant.domain}/topics/t`)).status).toBe(503);
      await publisher.client.close();
      expect((await post(current, tenant, "b", "1", "?finish=1")).said).toBe(OUTDATED);
      await (await StreamPublisher.open(tenant.pub("t"))).publish(["c"]);
      expect(await reader.messages(2)).toEqual(["a", "c"]);
    },
  );

  test.concurrent.each(NEW_TOPIC)(
    "17.14 18.6 a post finishes a topic, once: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { current, old } = edgesOf(hubOf(mixture), mixture);
      const tenant = await newTenant(old, KEPT);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      await publisher.publish(["a"]);
      const reader = await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`);
      await publisher.client.close();
      expect((await post(old, tenant, "b", "1", "?finish=1")).said).toBe(UNKNOWN);
      const finished = await post(current, tenant, "b", "1", "?finish=1");
      expect(finished.said).toBe("200");
      expect(await reader.messages(2)).toEqual(["a", "b"]);
      expect(await reader.end()).toBe("finished");
      const again = await post(current, tenant, "b", "1", "?finish=1");
      expect(again.body["cursor"]).toBe(finished.body["cursor"]);
      const over = { cursor: finished.body["cursor"], end: "finished", messages: ["a", "b"] };
      expect((await ask(current, tenant)).body).toMatchObject(over);
    },
  );

  test.concurrent.each(NEW_TOPIC)(
    "15.10 a topic is deleted for all who came by either edge: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const { current, old } = edgesOf(hubOf(mixture), mixture);
      const tenant = await newTenant(old, KEPT);
      const publisher = await StreamPublisher.open(tenant.pub("t"));
      await publisher.publish(["a"]);
      const readers = [
        await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`),
        await StreamSubscriber.open(`${tenant.on(current).sub("t")}?since=earliest`),
      ];
      const path = `${tenant.domain}/topics/t`;
      expect((await old.admin("DELETE", path)).status).toBeGreaterThanOrEqual(404);
      const { status } = await current.admin("DELETE", path);
      expect(status).toBe(200);
      expect(await publisher.client.closed()).toMatchObject({ code: 4504 });
      for (const reader of readers) {
        expect(await reader.messages(1)).toEqual(["a"]);
        expect(await reader.end()).toBe("deleted");
      }
      expect((await ask(current, tenant)).body).toMatchObject({ end: "deleted", messages: ["a"] });
      const next = await open(tenant.pub("t"));
      next.send("b");
      const all = await StreamSubscriber.open(`${tenant.sub("t")}?since=earliest`);
      expect(await all.messages(2)).toEqual(["a", "b"]);
    },
  );
});
