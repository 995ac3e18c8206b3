/** The Domain object from outside: what the platform does to it, and what it stores. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Domain } from "../../../../src/domain/domain.ts";
import { waitReally } from "../../../support-in-workerd/real-time.ts";
import { orDeath } from "../topic-handle.ts";

/** An eviction that takes longer never ends (topic-handle.ts). */
const EVICTION_MS = 1_000;
/** More deaths than are ordered. */
const MAX_DEATHS = 20;
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
    await this.#inside(async (storage) => {
      if ((await storage.getAlarm()) === null) await storage.setAlarm(atMs);
    });
  }

  /** When its alarm is due. */
  alarmMs(): Promise<number | null> {
    return this.#inside((storage) => storage.getAlarm());
  }

  /** All that it stores. */
  rows(): Promise<string[]> {
    return this.#inside((storage) => Array.from(storage.kv.list(), ([row]) => row));
  }

  /** The rows that say that something has not arrived. */
  async owing(): Promise<string[]> {
    const rows = await this.rows();
    return rows.filter((row) => OWING.some((prefix) => row.startsWith(prefix)));
  }

  /** Looks into its storage, which wakes it: as often as it dies of that, since several such faults may be ordered. */
  async #inside<T>(look: (storage: DurableObjectStorage) => T | Promise<T>): Promise<T> {
    for (let deaths = 0; deaths < MAX_DEATHS; deaths++) {
      const seen = await orDeath(
        async () => ({
          value: await runInDurableObject(this.stub, (_, { storage }) => look(storage)),
        }),
        null,
      );
      if (seen !== null) return seen.value;
    }
    throw new Error("The domain dies whenever it wakes");
  }
}
