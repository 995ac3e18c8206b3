/**
 * The time that the hub sees. Tests and hub share an isolate, so what is replaced here serves both. While a
 * clock is in use it never shows less than the real time: an alarm that the hub sets is then late by itself,
 * and who holds the clock decides when it fires.
 */
import { runInDurableObject } from "cloudflare:test";
import { atRest } from "./at-rest.ts";
import { freshStub } from "./fresh-stub.ts";
import { realNow } from "./real-time.ts";

/** A clock that stands still begins so far ahead that no alarm fires by itself meanwhile. */
const LEAD_MS = 3_600_000;
/** Waits that are longer are shortened to a tenth, if they are shortened. */
const LONG_WAIT_MS = 50;
/** What the platform does about an alarm that fails: from 2 seconds, doubled, six times. */
const FIRST_RETRY_MS = 2_000;
const MAX_RETRIES = 6;
/** More in one advance are a loop. */
const MAX_ALARMS = 10_000;
/** So often may an object die while it is asked something. */
const MAX_DEATHS = 3;

const RealDate: DateConstructor = Date;
const realWait: Scheduler["wait"] = scheduler.wait.bind(scheduler);

/** How a clock goes. */
export interface ClockOptions {
  /** Whether it goes on by itself, from the real time; else it stands still. */
  readonly isRunning?: boolean;
  /** Where one that stands still begins; in an hour by default. Alarms that are set to real past fire by themselves. */
  readonly startMs?: number;
  /** Whether `scheduler.wait` takes a tenth of long times. */
  readonly shortensWaits?: boolean;
}

/** An alarm that fired while the clock was put forward. */
export interface Firing {
  /** The object's name. */
  readonly object: string;
  readonly atMs: number;
  /** What it failed with, `null` if it did not. The clock repeats it as the platform does. */
  readonly error: Error | null;
}

/** A clock that can be set. */
export class Clock {
  readonly #isRunning: boolean;
  #offsetMs: number;
  /** By object, how often its alarm failed in a row. */
  readonly #failures: Map<string, number> = new Map();

  /** Makes it everybody's clock until it is disposed of. */
  constructor({ isRunning = false, startMs, shortensWaits = false }: ClockOptions = {}) {
    this.#isRunning = isRunning;
    this.#offsetMs = isRunning ? 0 : (startMs ?? realNow() + LEAD_MS);
    globalThis.Date = createDate(() => this.nowMs);
    if (shortensWaits) {
      scheduler.wait = (ms, options) => realWait(ms > LONG_WAIT_MS ? ms / 10 : ms, options);
    }
  }

  /** What it shows. */
  get nowMs(): number {
    return this.#isRunning ? realNow() + this.#offsetMs : this.#offsetMs;
  }

  /** Sets it; no alarm fires for it. */
  set(nowMs: number): void {
    this.#offsetMs += nowMs - this.nowMs;
  }

  /** Puts it forward; the alarms of these objects fire when they are due, in their order. */
  advance(ms: number, ...objects: readonly DurableObjectStub[]): Promise<Firing[]> {
    return this.advanceTo(this.nowMs + ms, ...objects);
  }

  /** The same, up to a time. Objects that are out of memory are woken to see when their alarms are due. */
  async advanceTo(untilMs: number, ...objects: readonly DurableObjectStub[]): Promise<Firing[]> {
    const firings: Firing[] = [];
    while (firings.length < MAX_ALARMS) {
      await atRest();
      const next = await nextAlarm(objects);
      if (next === null || next.atMs > untilMs) {
        this.set(Math.max(untilMs, this.nowMs));
        return firings;
      }
      this.set(Math.max(next.atMs, this.nowMs));
      firings.push(await this.#fire(next.stub));
    }
    throw new Error(`More than ${MAX_ALARMS} alarms before ${new RealDate(untilMs).toISOString()}`);
  }

  [Symbol.dispose](): void {
    globalThis.Date = RealDate;
    scheduler.wait = realWait;
  }

  /** Runs an object's alarm as the platform does; one that fails is set again. */
  #fire(stub: DurableObjectStub): Promise<Firing> {
    const key = stub.id.toString();
    const object = stub.name ?? key;
    const atMs = this.nowMs;
    return runInDurableObject(freshStub(stub), async (instance: Alarmed, { storage }) => {
      await storage.deleteAlarm();
      const retryCount = this.#failures.get(key) ?? 0;
      const isRetry = retryCount > 0;
      try {
        await instance.alarm({ retryCount, isRetry, scheduledTime: atMs });
        this.#failures.delete(key);
        return { object, atMs, error: null };
      } catch (error) {
        if (retryCount >= MAX_RETRIES) this.#failures.delete(key);
        else {
          this.#failures.set(key, retryCount + 1);
          const isSetAnew = (await storage.getAlarm()) !== null;
          if (!isSetAnew) await storage.setAlarm(atMs + FIRST_RETRY_MS * 2 ** retryCount);
        }
        return { object, atMs, error: error instanceof Error ? error : new Error(String(error)) };
      }
    });
  }
}

interface Alarmed extends DurableObject {
  alarm(info: AlarmInvocationInfo): Promise<void>;
}

async function nextAlarm(
  objects: readonly DurableObjectStub[],
): Promise<{ readonly stub: DurableObjectStub; readonly atMs: number } | null> {
  let next: { readonly stub: DurableObjectStub; readonly atMs: number } | null = null;
  for (const stub of objects) {
    const atMs = await alarmOf(stub);
    if (atMs !== null && atMs < (next?.atMs ?? Infinity)) next = { stub, atMs };
  }
  return next;
}

/** When an object's alarm is due. An object that ends itself meanwhile is asked again. */
async function alarmOf(stub: DurableObjectStub): Promise<number | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runInDurableObject(freshStub(stub), (_, { storage }) => storage.getAlarm());
    } catch (error) {
      // The object's own abort, such as that of a topic that nobody is left on.
      if (attempt === MAX_DEATHS) throw error;
    }
  }
}

/** A `Date` that knows another now. */
function createDate(now: () => number): DateConstructor {
  return new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
  });
}
