/** The equipment itself: each fault strikes when it was ordered to, once, and nobody else. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { Grant } from "../../../src/core/grant.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerKeyDesk,
  callsOf,
  failNextAlarm,
  failNextCall,
  failNextRead,
  failNextWrite,
  forgetFaults,
  holdNextCall,
} from "../../support-in-workerd/faults.ts";
import { faultyEnv, faultyExports } from "../../support-in-workerd/faulty-calls.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { keyGrant, tokenGrant } from "./grants.ts";
import { ask, open, publisher } from "./sockets.ts";
import { evict, freshDomain, wake } from "./topics.ts";

const GRANT = keyGrant({ checkedAtMs: 0 });

/** Writes into the domain's storage and sets its alarm. */
async function write(domain: DurableObjectStub<Domain>, hash = "hash"): Promise<void> {
  await domain.issueTicket(hash, "topic", GRANT);
}

/** Reads from the domain's storage; a write follows if something is found. */
async function read(domain: DurableObjectStub<Domain>, hash = "hash"): Promise<Grant | null> {
  return domain.takeTicket(hash, "topic");
}

/** Asks the edge to subscribe, which asks the topic. */
async function subscribe(domain: DurableObjectStub<Domain>): Promise<number> {
  const response = await exports.default.fetch(`https://hub.test/ws/sub/${domain.name}/topic`, {
    headers: {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  });
  response.webSocket?.accept();
  response.webSocket?.close();
  return response.status;
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted in between", settle: evict },
])("storage, $name", ({ settle }) => {
  test("the next write fails, once, and before it is written", async () => {
    const { domain } = freshDomain();
    const fault = failNextWrite(domain);
    await settle(domain);
    await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
    expect(fault.struck).toBe(1);
    expect(await read(domain)).toBeNull();
    await settle(domain);
    await write(domain);
    expect(await read(domain)).toMatchObject({ keyId: GRANT.keyId });
  });

  test("the next read fails, once, and nothing is lost", async () => {
    const { domain } = freshDomain();
    await write(domain);
    failNextRead(domain, { matching: "ticket:", error: new Error("Torn page") });
    await settle(domain);
    await expect(read(domain)).rejects.toThrow("Torn page");
    await settle(domain);
    expect(await read(domain)).toMatchObject({ keyId: GRANT.keyId });
  });

  test("a fatal one takes the object with it", async () => {
    const { domain } = freshDomain();
    await settle(domain);
    failNextWrite(domain, { isFatal: true });
    await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
    const fresh = freshStub(domain);
    await write(fresh);
    expect(await read(fresh)).toMatchObject({ keyId: GRANT.keyId });
  });

  test("so do the SQL and the log of a topic", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    await settle(topic);
    const policy = { historyMessages: 10 };
    failNextWrite(topic, { method: "sql.exec", matching: /create table/i, isFatal: true });
    await expect(open(topic, publisher(policy))).rejects.toThrow("SQLITE_FULL");
    await open(freshStub(topic), publisher(policy));
  });
});

test("an object that cannot read while it is made is made again", async () => {
  const { topic: topicOf } = freshDomain();
  const topic = topicOf();
  await open(topic, publisher({ publishers: "shared" }));
  await evict(topic);
  failNextRead(topic);
  await expect(ask(topic, publisher({ publishers: "shared" }))).rejects.toThrow("SQLITE_IOERR");
  await open(freshStub(topic), publisher({ publishers: "shared" }));
});

describe("which access fails", () => {
  test("that of the method that was named, after so many, so many times", async () => {
    const { domain } = freshDomain();
    const fault = failNextWrite(domain, { method: "kv.put", after: 1, times: 2 });
    await write(domain, "0");
    await expect(write(domain, "1")).rejects.toThrow("SQLITE_FULL");
    await expect(write(domain, "2")).rejects.toThrow("SQLITE_FULL");
    await write(domain, "3");
    expect(fault.struck).toBe(2);
  });

  test("that of the key that was named", async () => {
    const { domain } = freshDomain();
    failNextWrite(domain, { matching: "ticket:b" });
    await write(domain, "a");
    await expect(write(domain, "b")).rejects.toThrow("SQLITE_FULL");
  });

  test("setting the alarm, of which the object hears later", async () => {
    const { domain } = freshDomain();
    failNextWrite(domain, { method: "setAlarm" });
    await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
    expect(await runDurableObjectAlarm(domain)).toBe(false);
    expect(await read(domain)).toMatchObject({ keyId: GRANT.keyId });
  });

  test("setting the alarm where nobody waits for it: no rejection is left over", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    failNextWrite(topic, { method: "setAlarm" });
    const grant = tokenGrant(Date.now() + 3_600_000);
    await open(topic, publisher({ tokenPublishers: true }, { grant }));
    expect(await runDurableObjectAlarm(topic)).toBe(false);
  });

  test("every one until it is stopped", async () => {
    const { domain } = freshDomain();
    const fault = failNextWrite(domain, { times: Infinity });
    for (let time = 0; time < 3; time++) {
      await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
    }
    fault.stop();
    await write(domain);
  });

  test("no other object's, and none of the test itself", async () => {
    const { domain } = freshDomain();
    const { domain: other } = freshDomain();
    const fault = failNextWrite(domain);
    await write(other);
    await runInDurableObject(domain, (_, { storage }) => storage.kv.put("mine", 1));
    expect(fault.struck).toBe(0);
    await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
  });

  test("one that never strikes is told", async () => {
    const { domain } = freshDomain();
    await wake(domain);
    failNextWrite(domain);
    failNextRead(domain);
    await expect(write(domain)).rejects.toThrow("SQLITE_FULL");
    expect(forgetFaults().map(String)).toEqual(["read any"]);
    await write(domain);
  });
});

describe("alarms", () => {
  test("the next one fails before it does its work", async () => {
    const { domain } = freshDomain();
    await write(domain);
    failNextAlarm(domain);
    await evict(domain);
    using clock = new Clock();
    await expect(runDurableObjectAlarm(domain)).rejects.toThrow("The alarm fails");
    expect(await keysOf(domain)).toEqual(["ticket:hash"]);
    await runInDurableObject(domain, (_, { storage }) => storage.setAlarm(clock.nowMs));
    expect(await runDurableObjectAlarm(domain)).toBe(true);
    expect(await keysOf(domain)).toEqual([]);
  });

  test("or after it", async () => {
    const { domain } = freshDomain();
    await write(domain);
    failNextAlarm(domain, { isDone: true });
    using _ = new Clock();
    await expect(runDurableObjectAlarm(domain)).rejects.toThrow("The alarm fails");
    expect(await keysOf(domain)).toEqual([]);
  });
});

describe("calls between objects", () => {
  test("an object's next call fails, and does not arrive", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const fault = failNextCall(domain);
    await evict(topic);
    await open(topic, publisher());
    await atRest();
    expect(fault.struck).toBe(1);
    expect(await domain.topics("", 10)).toEqual([]);
    expect(callsOf(domain)).toMatchObject([{ from: `TOPIC ${topic.name}` }]);
    await runDurableObjectAlarm(topic);
    await atRest();
    expect(await domain.topics("", 10)).toMatchObject([{ topic: "topic" }]);
  });

  test("or arrives, and the answer is lost", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const fault = failNextCall(domain, { isDelivered: true });
    await open(topicOf(), publisher());
    await atRest();
    expect(fault.struck).toBe(1);
    expect(await domain.topics("", 10)).toMatchObject([{ topic: "topic" }]);
    await evictDurableObject(domain);
  });

  test("the edge's next call fails, and no other", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher());
    failNextCall(topic, { method: "fetch" });
    expect(await subscribe(domain)).toBe(503);
    expect(await subscribe(domain)).toBe(101);
    expect(callsOf(topic, "fetch").map(({ from }) => from)).toEqual(["edge", "edge"]);
  });

  test("a call of another method goes well", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const fault = failNextCall(topicOf(), { method: "describe" });
    await open(topicOf(), publisher());
    expect(await subscribe(domain)).toBe(101);
    expect(fault.struck).toBe(0);
    expect(forgetFaults()).toHaveLength(1);
  });

  test("a call is held before it arrives", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using held = holdNextCall(topic, { what: "call" });
    const answer = subscribe(domain);
    await held.reached();
    // Whoever is not held overtakes: it starts the topic for the one that is.
    await open(topic, publisher());
    held.release();
    expect(await answer).toBe(101);
  });

  test("or its answer", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using held = holdNextCall(domain);
    const client = await open(topic, publisher());
    await held.reached();
    expect(await domain.topics("", 10)).toMatchObject([{ topic: "topic" }]);
    client.close();
    expect(await client.next()).toMatchObject({ code: 1005 });
    held.release();
    await atRest();
  });

  test("a hold that is forgotten lets its call go", async () => {
    const { domain, topic: topicOf } = freshDomain();
    await open(topicOf(), publisher());
    await atRest();
    const held = holdNextCall(topicOf());
    const answer = subscribe(domain);
    await held.reached();
    forgetFaults();
    expect(await answer).toBe(101);
  });

  test("a stub that breaks stays broken, and no other stub is", async () => {
    const { domain } = freshDomain();
    const caller = { name: "a test", object: "test" };
    const { DOMAIN } = faultyEnv({ DOMAIN: env.DOMAIN }, caller);
    const stub = DOMAIN.get(domain.id);
    failNextCall(domain, { breaksStub: true });
    await expect(stub.liveSince("topic")).rejects.toThrow("Network connection lost");
    await expect(stub.liveSince("topic")).rejects.toMatchObject({ retryable: true });
    expect(await DOMAIN.get(domain.id).liveSince("topic")).toBeNull();
    expect(callsOf(domain, "liveSince").map(({ from }) => from)).toEqual(Array(3).fill("a test"));
  });
});

describe("the key desk", () => {
  test("is asked, and its next answer fails", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const grant = keyGrant();
    const client = await open(topicOf(), publisher({}, { grant }));
    await clock.advance(120_000);
    const fault = failNextCall({ keyDeskOf: domain });
    client.send("late");
    await atRest();
    expect(fault.struck).toBe(1);
    const [call] = callsOf({ keyDeskOf: domain });
    expect(call?.args.slice(0, 2)).toEqual([domain.name, [1]]);
  });

  test("has a stand-in, for one domain", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const dead = { keyId: 1, standing: { type: "dead" } } as const;
    answerKeyDesk(domain, {
      lookUp: (_, keyIds) => {
        expect(keyIds).toEqual([1]);
        return { atMs: clock.nowMs, standings: [dead], policy: null };
      },
    });
    const grant = keyGrant();
    const client = await open(topicOf(), publisher({}, { grant }));
    await clock.advance(120_000);
    client.send("late");
    expect(await client.next()).toEqual({ code: 4501, reason: "key-rejected" });
  });

  test("gets and gives copies, until the stand-in is forgotten", async () => {
    const { domain } = freshDomain();
    const { KeyDesk } = faultyExports(exports, { name: "a test", object: "test" });
    const keyIds = [1];
    const answer = { checkedAtMs: 1, standings: [] };
    let given: unknown = null;
    answerKeyDesk(domain, {
      standings: (_, ids) => {
        given = ids;
        return answer;
      },
    });
    const got = await KeyDesk.standings(domain.name ?? "", keyIds);
    expect([got, given]).toEqual([answer, keyIds]);
    expect(got).not.toBe(answer);
    expect(given).not.toBe(keyIds);
    forgetFaults();
    // The real one has no key store here.
    expect(await KeyDesk.standings(domain.name ?? "", keyIds)).toBeNull();
  });
});

async function keysOf(domain: DurableObjectStub<Domain>): Promise<string[]> {
  return runInDurableObject(domain, (_, { storage }) =>
    Array.from(storage.kv.list(), ([key]) => key),
  );
}
