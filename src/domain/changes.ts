/**
 * What of a domain changed of late, in the object's storage: the last change of each key and of the policy, for as
 * long as a cache somewhere may contradict it, and which objects have not heard of it yet. Compares changes by the
 * key store's clock alone; its own clock only says how long they are kept.
 */
import * as v from "valibot";
import {
  HELD_AT_MS,
  KeyStandingSchema,
  PolicyChangeSchema,
  type Change,
  type KeyChange,
  type KeyStanding,
  type PolicyChange,
} from "../core/change.ts";
import { mayPrecede } from "../core/clock.ts";
import { isSamePolicy } from "../core/judge.ts";
import type { Policy } from "../core/policy.ts";

/** Longer than any cache keeps a grant or a policy (one hour). */
const KEEP_MS = 2 * 3_600_000;
/** What is kept for hours is dropped a few minutes late, all at once. */
const EXPIRY_STEP_MS = 600_000;

/** The last number that was given out. */
export const NUMBER: string = "number";
// Dead and live keys apart: what version 0.1 reads must be dead.
const REVOCATION = "revocation:";
const RENEWAL = "renewal:";
const POLICY = "policy";
const PENDING = "pending:";
const MISSED = "missed:";
const HELD = "held:";

const KeySchema = v.object({
  keyId: v.number(),
  atMs: v.number(),
  // Version 0.1 knows none of these.
  number: v.optional(v.number(), 0),
  standing: v.optional(KeyStandingSchema, { type: "dead" }),
  changedMs: v.optional(v.number()),
});

const BeforeSchema = v.object({ keyId: v.number(), atMs: v.number(), isTold: v.boolean() });

const StoredPolicySchema = v.object({ change: PolicyChangeSchema, changedMs: v.number() });

const PendingSchema = v.object({
  /** The key of which it is, `null` for the policy. */
  keyId: v.nullable(v.number()),
  number: v.number(),
  sinceMs: v.number(),
  /** The register's row that was told last, `null` when all were. */
  after: v.nullable(v.string()),
});

/** A revocation that the key store has not got yet. */
export interface Held {
  readonly keyId: number;
  /** By this object's clock. */
  readonly sinceMs: number;
}

const HeldSchema: v.GenericSchema<unknown, Held> = v.object({
  keyId: v.number(),
  sinceMs: v.number(),
});

/** A change of which not all have heard. */
export interface Pending {
  readonly keyId: number | null;
  readonly number: number;
  /** Since when, by this object's clock. */
  readonly sinceMs: number;
  /** The register's row up to which all were told or missed; `null` when the register is through. */
  readonly after: string | null;
}

/** A domain's changes. Each is recorded wholly or not at all: storage may fail between two rows. */
export class Changes {
  readonly #storage: DurableObjectStorage;
  readonly #kv: SyncKvStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#kv = storage.kv;
  }

  /** A number that no change or entry had before. */
  nextNumber(nowMs: number): number {
    // The clock, so that numbers go on rising when all was forgotten; the last one, since clocks go back.
    const number = Math.max(nowMs, v.parse(v.optional(v.number(), 0), this.#kv.get(NUMBER)) + 1);
    this.#kv.put(NUMBER, number);
    return number;
  }

  /** The last change of a key, `null` when there was none of late. */
  ofKey(keyId: number): KeyChange | null {
    return this.#readKey(REVOCATION + keyId) ?? this.#readKey(RENEWAL + keyId);
  }

  /** The last change of the policy, `null` when there was none of late. */
  ofPolicy(): PolicyChange | null {
    const value = this.#kv.get(POLICY);
    return value === undefined ? null : v.parse(StoredPolicySchema, value).change;
  }

  /** Records what the key store says of a key; `null` when something newer is known. */
  recordKey(keyId: number, standing: KeyStanding, atMs: number, nowMs: number): KeyChange | null {
    const known = this.ofKey(keyId);
    if (known !== null && known.atMs > atMs) return null;
    return this.#storage.transactionSync(() => this.#putKey(keyId, standing, atMs, nowMs));
  }

  /** Whether a key's last change may be the later one of the two, and says something else. */
  mayContradictKey(keyId: number, standing: KeyStanding, atMs: number): boolean {
    const known = this.ofKey(keyId);
    return (
      known !== null &&
      atMs >= known.atMs &&
      mayPrecede(atMs, known.atMs) &&
      JSON.stringify(known.standing) !== JSON.stringify(standing)
    );
  }

  /** The same of the policy. */
  mayContradictPolicy(policy: Policy, atMs: number): boolean {
    const known = this.ofPolicy();
    return (
      known !== null &&
      atMs >= known.atMs &&
      mayPrecede(atMs, known.atMs) &&
      !isSamePolicy(known.policy, policy)
    );
  }

  /** Records the domain's policy; `null` when a newer one is known. */
  recordPolicy(policy: Policy, atMs: number, nowMs: number): PolicyChange | null {
    const known = this.ofPolicy();
    if (known !== null && known.atMs > atMs) return null;
    return this.#storage.transactionSync(() => {
      const change: PolicyChange = { type: "policy", policy, atMs, number: this.nextNumber(nowMs) };
      if (known !== null) this.#abandon(known.number);
      this.#kv.put(POLICY, { change, changedMs: nowMs });
      this.#begin(change, nowMs);
      return change;
    });
  }

  /** The change that is pending, `null` when a newer one has taken its place. */
  find({ keyId, number }: Pending): Change | null {
    const change = keyId === null ? this.ofPolicy() : this.ofKey(keyId);
    return change?.number === number ? change : null;
  }

  /** All of which not everybody has heard. */
  pending(): Pending[] {
    return Array.from(this.#kv.list({ prefix: PENDING }), ([, value]) =>
      v.parse(PendingSchema, value),
    );
  }

  /** What is pending of a change, `null` when everybody has heard of it. */
  pendingOf({ number }: Change): Pending | null {
    const value = this.#kv.get(PENDING + number);
    return value === undefined ? null : v.parse(PendingSchema, value);
  }

  /** All up to a row were told or missed; `null`: all there are. */
  proceed(pending: Pending, after: string | null): Pending {
    const next: Pending = { ...pending, after };
    this.#kv.put(PENDING + pending.number, next);
    return next;
  }

  /** An object could not be reached. */
  miss({ number }: Pending, holder: string): void {
    this.#kv.put(missedRow(number, holder), true);
  }

  /** An object has heard, after it was missed. */
  reach({ number }: Pending, holder: string): void {
    this.#kv.delete(missedRow(number, holder));
  }

  /** The next so many that were missed, after one of them. */
  missed({ number }: Pending, after: string, limit: number): string[] {
    const prefix = missedRow(number, "");
    const rows = this.#kv.list({ prefix, startAfter: prefix + after, limit });
    return Array.from(rows, ([row]) => row.slice(prefix.length));
  }

  /** Everybody has heard, or nobody needs to any more. */
  settle(pending: Pending): void {
    this.#kv.delete(PENDING + pending.number);
    for (;;) {
      const missed = this.missed(pending, "", PAGE);
      for (const holder of missed) this.reach(pending, holder);
      if (missed.length < PAGE) break;
    }
    if (pending.keyId === null) return;
    const row = REVOCATION + pending.keyId;
    const value = this.#kv.get(row);
    const isOwn = this.#readKey(row)?.number === pending.number;
    if (isOwn && typeof value === "object") this.#kv.put(row, { ...value, isTold: true });
  }

  /** Holds a key's revocation, later than all that the key store says, until `release`. */
  hold(keyId: number, nowMs: number): KeyChange {
    return this.#storage.transactionSync(() => {
      if (!this.isHeld(keyId)) this.#kv.put(HELD + keyId, { keyId, sinceMs: nowMs });
      return this.#putKey(keyId, { type: "dead" }, HELD_AT_MS, nowMs);
    });
  }

  /** Whether a revocation waits for the key store, so that what that says of the key counts for nothing. */
  isHeld(keyId: number): boolean {
    return this.#kv.get(HELD + keyId) !== undefined;
  }

  /** The key store has a revocation that was held. */
  release(keyId: number, atMs: number, nowMs: number): KeyChange {
    return this.#storage.transactionSync(() => {
      this.#kv.delete(HELD + keyId);
      return this.#putKey(keyId, { type: "dead" }, atMs, nowMs);
    });
  }

  /** Keys whose revocation the key store has not got yet. */
  held(): Held[] {
    return Array.from(this.#kv.list({ prefix: HELD }), ([, value]) => v.parse(HeldSchema, value));
  }

  /** Takes over what version 0.1 has revoked, and tells what it has not told everybody; whether there is any. */
  adoptBefore(nowMs: number): boolean {
    const before = Array.from(this.#kv.list({ prefix: REVOCATION }), ([, value]) =>
      v.parse(BeforeSchema, value),
    );
    for (const { keyId, atMs, isTold } of before) {
      if (!isTold) this.#putKey(keyId, { type: "dead" }, atMs, nowMs);
    }
    return before.length > 0;
  }

  /** All revocations, as topics of version 0.1 ask for them. */
  revocations(): { readonly keyId: number; readonly atMs: number }[] {
    return this.#keys(REVOCATION).map(({ keyId, atMs }) => ({ keyId, atMs }));
  }

  /** Drops what no cache can contradict any more; returns when there is more to drop, `null` for never. */
  expire(nowMs: number): number | null {
    let oldestMs = Infinity;
    for (const prefix of [REVOCATION, RENEWAL]) {
      for (const { keyId, atMs, number, changedMs = atMs } of this.#keys(prefix)) {
        if (atMs === HELD_AT_MS) continue;
        if (changedMs + KEEP_MS > nowMs) oldestMs = Math.min(oldestMs, changedMs);
        else this.#drop(prefix + keyId, number);
      }
    }
    const policy = this.#kv.get(POLICY);
    if (policy !== undefined) {
      const { change, changedMs } = v.parse(StoredPolicySchema, policy);
      if (changedMs + KEEP_MS > nowMs) oldestMs = Math.min(oldestMs, changedMs);
      else this.#drop(POLICY, change.number);
    }
    return oldestMs === Infinity ? null : oldestMs + KEEP_MS + EXPIRY_STEP_MS;
  }

  #putKey(keyId: number, standing: KeyStanding, atMs: number, nowMs: number): KeyChange {
    const known = this.ofKey(keyId);
    if (known !== null) this.#abandon(known.number);
    const [row, other] = standing.type === "dead" ? [REVOCATION, RENEWAL] : [RENEWAL, REVOCATION];
    const number = this.nextNumber(nowMs);
    const change: KeyChange = { type: "key", keyId, standing, atMs, number };
    this.#kv.delete(other + keyId);
    // `isTold` is for version 0.1, which would tell the rest.
    this.#kv.put(row + keyId, { ...change, isTold: false, changedMs: nowMs });
    this.#begin(change, nowMs);
    return change;
  }

  #begin(change: Change, nowMs: number): void {
    const keyId = change.type === "key" ? change.keyId : null;
    const pending: Pending = { keyId, number: change.number, sinceMs: nowMs, after: "" };
    this.#kv.put(PENDING + change.number, pending);
  }

  /** Nobody needs to hear of a change any more: a newer one has taken its place, or it is too old. */
  #abandon(number: number): void {
    const pending = this.#kv.get(PENDING + number);
    if (pending !== undefined) this.settle(v.parse(PendingSchema, pending));
  }

  #drop(row: string, number: number): void {
    this.#abandon(number);
    this.#kv.delete(row);
  }

  #keys(prefix: string): v.InferOutput<typeof KeySchema>[] {
    return Array.from(this.#kv.list({ prefix }), ([, value]) => v.parse(KeySchema, value));
  }

  #readKey(row: string): KeyChange | null {
    const value = this.#kv.get(row);
    if (value === undefined) return null;
    const { keyId, standing, atMs, number } = v.parse(KeySchema, value);
    return { type: "key", keyId, standing, atMs, number };
  }
}

/** Rows that are read at a time where all are. */
const PAGE = 1000;

function missedRow(number: number, holder: string): string {
  return `${MISSED}${number}/${holder}`;
}
