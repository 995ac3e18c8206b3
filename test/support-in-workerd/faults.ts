/**
 * What tests order: the next write, read, alarm or call of an object fails, or a call waits. Each fault strikes
 * once unless told otherwise, survives eviction, and is forgotten after its test. A test whose fault never
 * struck fails (after-each.ts): it did not test what it says.
 */
import type { WorkerEntrypoint } from "cloudflare:workers";
import type { KeyDesk } from "../../src/main.ts";
import { Fault, table, type Call, type Occasion } from "./fault-table.ts";
import {
  keyDeskId,
  replaceKeyDesk,
  restoreKeyDesk,
  type Answers,
  type CallEffect,
  type Hold,
} from "./faulty-calls.ts";
import type { AlarmEffect } from "./faulty-object.ts";
import type { StorageEffect } from "./faulty-storage.ts";
import { waitReally } from "./real-time.ts";

const REACH_MS = 5_000;

/** Holds that were ordered. */
const holds: Hold[] = [];

/** Whose calls are meant: an object, or the key desk as it is asked of a domain. */
export type Target = DurableObjectStub | { readonly keyDeskOf: DurableObjectStub };

/** How storage fails. */
export interface StorageFault extends Occasion {
  readonly error?: Error;
  /** Whether the object dies of it, as on the platform when an output gate breaks; not by default. */
  readonly isFatal?: boolean;
}

/** How an alarm fails. */
export interface AlarmFault extends Pick<Occasion, "after" | "times"> {
  readonly error?: Error;
  /** Whether it does its work before it fails; not by default. */
  readonly isDone?: boolean;
}

/** How a call fails. */
export interface CallFault extends Omit<Occasion, "matching"> {
  readonly error?: Error;
  /** Whether the call arrives and only the answer is lost; not by default. */
  readonly isDelivered?: boolean;
  /** Whether the stub is of no use from then on, as when its object was reset; not by default. */
  readonly breaksStub?: boolean;
}

/** Which call is held, and where. */
export interface HoldOptions extends Omit<Occasion, "matching" | "times"> {
  /** Before it arrives or, by default, before its answer does. Later calls overtake a call that is held. */
  readonly what?: "call" | "answer";
}

/** What the key desk can be asked. */
type KeyDeskMethods = Omit<KeyDesk, keyof WorkerEntrypoint>;

/** A stand-in's answers; what is left out is asked of the real key desk. */
export type KeyDeskAnswers = {
  readonly [Method in keyof KeyDeskMethods]?: KeyDeskMethods[Method] extends (
    ...args: infer Args
  ) => Promise<infer Answer>
    ? (...args: Args) => Answer | Promise<Answer>
    : never;
};

let failures = 0;

/** An error that no other fault has: of equal ones the operator's log has a line for the first alone. */
function failure(reason: string): Error {
  failures += 1;
  return new Error(`${reason} (fault ${failures})`);
}

/** Lets an object's next write fail: before anything is written. */
export function failNextWrite(object: DurableObjectStub, options: StorageFault = {}): Fault {
  const error = options.error ?? failure("database or disk is full: SQLITE_FULL");
  return failStorage(object, "write", { ...options, error });
}

/** Lets an object's next read fail. */
export function failNextRead(object: DurableObjectStub, options: StorageFault = {}): Fault {
  const error = options.error ?? failure("disk I/O error: SQLITE_IOERR");
  return failStorage(object, "read", { ...options, error });
}

/** Lets an object's next alarm fail, whoever fires it. */
export function failNextAlarm(object: DurableObjectStub, options: AlarmFault = {}): Fault {
  const { error = new Error("The alarm fails"), isDone = false } = options;
  const effect: AlarmEffect = { error, isDone };
  return table.add(new Fault({ object: object.id.toString(), kind: "alarm" }, options, effect));
}

/** Lets the next call fail that an object, the key desk or the edge makes to a target. */
export function failNextCall(target: Target, options: CallFault = {}): Fault {
  const { isDelivered = false, breaksStub = false } = options;
  // What the platform throws when an object cannot be reached bears this mark.
  const error =
    options.error ?? Object.assign(new Error("Network connection lost."), { retryable: true });
  const type = isDelivered ? "unanswered" : "undelivered";
  const effect: CallEffect = { type, error, breaksStub };
  return table.add(new Fault({ object: idOf(target), kind: "call" }, options, effect));
}

/** A call that waits until it is released. */
export class HeldCall {
  readonly #hold: Hold;
  readonly #fault: Fault;

  constructor(hold: Hold, fault: Fault) {
    this.#hold = hold;
    this.#fault = fault;
  }

  /** Waits until there is a call that waits. */
  async reached(): Promise<void> {
    for (let ms = 0; !this.#hold.isReached; ms++) {
      if (ms >= REACH_MS) throw new Error(`Nothing waits at ${this.#fault.toString()}`);
      await waitReally(1);
    }
  }

  /** Lets it go on. */
  release(): void {
    this.#hold.isReleased = true;
    this.#fault.stop();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Lets the next call to a target wait; `using` releases it at the latest. */
export function holdNextCall(target: Target, options: HoldOptions = {}): HeldCall {
  const hold: Hold = { isReached: false, isReleased: false };
  holds.push(hold);
  const effect: CallEffect = { type: "held", what: options.what ?? "answer", hold };
  const fault = new Fault({ object: idOf(target), kind: "call" }, options, effect);
  return new HeldCall(hold, table.add<unknown>(fault));
}

/** Answers in place of the key desk what it is asked of a domain: unit tests have no key store. */
export function answerKeyDesk(domain: DurableObjectStub, answers: KeyDeskAnswers): void {
  replaceKeyDesk(nameOf(domain), answers as unknown as Answers);
}

/** The calls that a target got or should have got, in their order. */
export function callsOf(target: Target, method?: string): readonly Call[] {
  return table
    .callsTo(idOf(target))
    .filter((call) => method === undefined || call.method === method);
}

/** Forgets every fault and call, lets go what is held; returns the faults that never struck. */
export function forgetFaults(): readonly Fault[] {
  restoreKeyDesk();
  for (const hold of holds.splice(0)) hold.isReleased = true;
  return table.clear();
}

function failStorage(
  object: DurableObjectStub,
  kind: "read" | "write",
  options: StorageFault & { readonly error: Error },
): Fault {
  const { error, isFatal = false } = options;
  const effect: StorageEffect = { error, isFatal };
  return table.add(new Fault({ object: object.id.toString(), kind }, options, effect));
}

function idOf(target: Target): string {
  return isKeyDesk(target) ? keyDeskId(nameOf(target.keyDeskOf)) : target.id.toString();
}

/** A stub claims to have every property. */
function isKeyDesk(target: Target): target is Exclude<Target, DurableObjectStub> {
  return Object.hasOwn(target, "keyDeskOf");
}

function nameOf({ name }: DurableObjectStub): string {
  if (name === undefined) throw new Error("The stub has no name");
  return name;
}
