/** Changes are recorded wholly or not at all: what a domain owes is not lost where its storage fails between two rows. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { HELD_AT_MS, type Told } from "../../../src/core/change.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerKeyDesk,
  callsOf,
  failNextCall,
  failNextWrite,
} from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { open, publisher } from "../support/sockets.ts";
import { freshDomain } from "../support/topics.ts";

const FULL = "SQLITE_FULL";

type Stub = DurableObjectStub<Domain>;

function rowsOf(domain: Stub, prefix = ""): Promise<string[]> {
  return runInDurableObject(domain, (_, { storage }) =>
    Array.from(storage.kv.list({ prefix }), ([row]) => row),
  );
}

async function hold(domain: Stub): Promise<Told> {
  return domain.holdRevocation(1);
}

async function endKey(domain: Stub): Promise<Told> {
  return domain.changeKey(1, { type: "dead" }, later(), true);
}

async function changePolicy(domain: Stub): Promise<Told> {
  return domain.changePolicy({ ...DEFAULT_POLICY, subscribers: "token" }, later());
}

test.each([
  // What is held, besides.
  { what: "a revocation that is held", record: hold, rows: 4 },
  // A number, the change, and that nobody has heard of it.
  { what: "a key", record: endKey, rows: 3 },
  { what: "the policy", record: changePolicy, rows: 3 },
])("$what that could not be recorded leaves nothing behind", async ({ record, rows }) => {
  const { domain } = freshDomain();
  for (let after = 0; after < rows; after++) {
    failNextWrite(domain, { method: "kv.put", after });
    await expect(record(domain)).rejects.toThrow(FULL);
    expect(await rowsOf(domain)).toEqual([]);
  }
  await record(domain);
});

test.each([
  { what: "a key", change: endKey },
  { what: "the policy", change: changePolicy },
])("what is owed of $what is owed on where the next change fails", async ({ change }) => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await open(topic, publisher({}, { grant: keyGrant() }));
  failNextCall(topic);
  expect(await change(domain)).toMatchObject({ missed: 1 });
  const owed = await rowsOf(domain, "missed:");
  failNextWrite(domain, { method: "kv.put", matching: "pending:" });
  await expect(change(domain)).rejects.toThrow(FULL);
  expect(await rowsOf(domain, "missed:")).toEqual(owed);
  await runDurableObjectAlarm(domain);
  expect(callsOf(topic, "applyChange")).toHaveLength(2);
  expect(await rowsOf(domain, "missed:")).toEqual([]);
  void source;
});

test("what is owed is told soon after an alarm that failed, though somebody enters meanwhile", async () => {
  const { domain, topic: topicOf } = freshDomain();
  // Alarms stand on whole steps of five seconds.
  using clock = new Clock({ startMs: Math.ceil(Date.now() / 5000) * 5000 + 3_600_000 });
  await open(topicOf(), publisher({}, { grant: keyGrant() }));
  failNextWrite(domain, { method: "kv.put", matching: "pending:", after: 1, times: 2 });
  await expect(changePolicy(domain)).rejects.toThrow(FULL);
  const firings = await clock.advance(5000, domain);
  expect(String(firings.at(-1)?.error)).toContain(FULL);
  await open(topicOf("other"), publisher({}, { grant: keyGrant() }));
  await clock.advance(10_000, domain);
  expect(await rowsOf(domain, "pending:")).toEqual([]);
});

test("15.5 a revocation is held on where storage fails as Postgres has it", async () => {
  const { domain } = freshDomain();
  using clock = new Clock();
  await hold(domain);
  answerKeyDesk(domain, { revoke: () => ({ atMs: clock.nowMs, isKnown: true }) });
  failNextWrite(domain, { method: "kv.put", matching: "pending:" });
  await expect(endKey(domain)).rejects.toThrow(FULL);
  expect(await domain.changeOf(1)).toMatchObject({ atMs: HELD_AT_MS });
  await clock.advance(10_000, domain);
  expect(await rowsOf(domain, "held:")).toEqual([]);
});
