/** What a topic stores whose name the runtime does not tell it, and for whom. Nothing outlives a stranger. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { NAME_HEADER, type Admission } from "../../../src/core/admission.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { failNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { Client, publisher, subscriber, upgradeRequest } from "../support/sockets.ts";
import { crash, evict, wake } from "../support/topics.ts";

const SHARED = { publishers: "shared" } as const;

async function leave(client: Client): Promise<void> {
  client.close(1000, "bye");
  expect(await client.next()).toEqual({ code: 1000, reason: "bye" });
  await atRest();
}

describe("a topic whose name has more than 1,024 bytes", () => {
  let name: string;
  let topic: DurableObjectStub<Topic>;
  let domain: DurableObjectStub<Domain>;

  beforeEach(() => {
    const domainName = crypto.randomUUID();
    name = `${domainName}/${"👋".repeat(256)}`;
    topic = env.TOPIC.getByName(name);
    domain = env.DOMAIN.getByName(domainName);
  });

  /** Connects as the edge does. */
  async function open(admission: Admission): Promise<Client> {
    const request = upgradeRequest(admission);
    request.headers.set(NAME_HEADER, encodeURIComponent(name));
    const { webSocket, status } = await topic.fetch(request);
    if (webSocket === null) throw new Error(`Refused with ${status}`);
    return new Client(webSocket);
  }

  function stored(): Promise<string[]> {
    return runInDurableObject(topic, (_, { id, storage }) => {
      expect(id.name).toBeUndefined();
      return Array.from(storage.kv.list(), ([key]) => key);
    });
  }

  test("stores nothing of a subscriber that presents nothing, while it waits neither", async () => {
    const client = await open(subscriber(SHARED));
    expect(await stored()).toEqual([]);
    await evict(topic);
    await leave(client);
    expect(await stored()).toEqual([]);
  });

  test("knows its name when a publisher comes after a sleep, and tells who waits", async () => {
    const client = await open(subscriber(SHARED));
    await evict(topic);
    const sender = await open(publisher(SHARED, { grant: keyGrant() }));
    expect(await stored()).toContain("name");
    await evict(topic);
    sender.send("hello");
    expect(await client.next()).toBe("hello");
    // What is left of a life is no more than who waits needs.
    await leave(sender);
    expect(await stored()).not.toContain("name");
    await leave(client);
    expect(await stored()).toEqual([]);
  });

  test("keeps its name while somebody waits by a key, and no longer", async () => {
    const client = await open(subscriber(SHARED, { grant: keyGrant() }));
    expect(await stored()).toEqual(["name"]);
    await evict(topic);
    const stranger = await open(subscriber(SHARED));
    await leave(stranger);
    expect(await stored()).toEqual(["name"]);
    await leave(client);
    expect(await stored()).toEqual([]);
  });

  test("keeps it for them when a life ends", async () => {
    const client = await open(subscriber(SHARED, { grant: keyGrant() }));
    const sender = await open(publisher(SHARED, { grant: keyGrant({ keyId: 2 }) }));
    await leave(sender);
    expect(await stored()).toContain("name");
    await leave(client);
    expect(await stored()).toEqual([]);
  });

  test("loses it after a crash with the next wake", async () => {
    await open(subscriber(SHARED, { grant: keyGrant() }));
    await crash(topic);
    await wake(topic);
    expect(await stored()).toEqual([]);
  });

  test("keeps it until its domain has heard what it has to hear", async () => {
    using fault = failNextCall(domain, { times: Infinity });
    const client = await open(subscriber(SHARED, { grant: keyGrant() }));
    await atRest();
    expect(await stored()).toContain("unregistered");
    await leave(client);
    expect(await stored()).toContain("name");
    fault.stop();
    await runInDurableObject(topic, (instance: Topic) => instance.alarm());
    await atRest();
    expect(await stored()).toEqual([]);
  });

  test("no stranger makes a domain store anything", async () => {
    expect(await domain.takeTicket("0".repeat(64), "topic")).toBe(null);
    const keys = await runInDurableObject(domain, (_, { storage }) => [...storage.kv.list()]);
    expect(keys).toEqual([]);
  });
});
