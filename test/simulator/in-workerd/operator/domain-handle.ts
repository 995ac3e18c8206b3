/** The Domain object from outside: what the platform does to it, and what it stores. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Domain } from "../../../../src/domain/domain.ts";
import { waitReally } from "../../../support-in-workerd/real-time.ts";
import { orDeath } from "../topic-handle.ts";

/** An eviction that takes longer never ends (topic-handle.ts). */
const EVICTION_MS = 1_000;
/** What waits to be told, and for the key store. */
const OWING = ["pending:", "missed:", "held:"];

/** A domain of its own. */
export class DomainHandle {
  readonly name = `domain-${crypto.randomUUID()}`;

  /** A stub that no death of the object has broken. */
  get stub(): DurableObjectStub<Domain> {
    return env.DOMAIN.getByName(this.name);
  }

  /** Takes the object out of memory. */
  async evict(): Promise<void> {
    const eviction = orDeath(async () => {
      await runInDurableObject(this.stub, () => {});
      await evictDurableObject(this.stub);
    }, undefined);
    await Promise.race([eviction, waitReally(EVICTION_MS)]);
  }

  /** Fires the alarm now; one that fails is the platform's to repeat, so it stays set. */
  async runAlarm(): Promise<void> {
    const dueMs = await this.alarmMs();
    try {
      await runDurableObjectAlarm(this.stub);
    } catch {
      // The fault that was ordered: the platform repeats the alarm.
      if (dueMs !== null) await this.repeatAlarm(dueMs);
    }
  }

  /** Lets an alarm that failed fire again, unless one is set. */
  async repeatAlarm(atMs: number): Promise<void> {
    await runInDurableObject(this.stub, async (_, { storage }) => {
      if ((await storage.getAlarm()) === null) await storage.setAlarm(atMs);
    });
  }

  /** When its alarm is due. */
  alarmMs(): Promise<number | null> {
    return runInDurableObject(this.stub, (_, { storage }) => storage.getAlarm());
  }

  /** All that it stores. */
  rows(): Promise<string[]> {
    return runInDurableObject(this.stub, (_, { storage }) =>
      Array.from(storage.kv.list(), ([row]) => row),
    );
  }

  /** The rows that say that something has not arrived. */
  async owing(): Promise<string[]> {
    const rows = await this.rows();
    return rows.filter((row) => OWING.some((prefix) => row.startsWith(prefix)));
  }
}
