/**
 * Which keys were found to open nothing, and since when, in the object's storage: for as long as a cache
 * somewhere may still say that they do. Whether every topic has heard of it is part of it.
 */
import * as v from "valibot";
import type { Revocation } from "../core/grant.ts";

/** Longer than any cache keeps a grant (one hour). */
const KEEP_MS = 2 * 3_600_000;

const PREFIX = "revocation:";

const EntrySchema = v.object({ keyId: v.number(), atMs: v.number(), isTold: v.boolean() });

/** A domain's revocations. */
export class Revocations {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Enters a key; nobody has been told yet. */
  add({ keyId, atMs }: Revocation): void {
    this.#kv.put(PREFIX + keyId, { keyId, atMs, isTold: false });
  }

  /** Every topic has heard of it. */
  markTold(keyId: number): void {
    const entry = this.#entries().find((known) => known.keyId === keyId);
    if (entry !== undefined) this.#kv.put(PREFIX + keyId, { ...entry, isTold: true });
  }

  /** The key opens again. */
  remove(keyId: number): void {
    this.#kv.delete(PREFIX + keyId);
  }

  /** All that a cache may still contradict. */
  list(): Revocation[] {
    return this.#entries().map(({ keyId, atMs }) => ({ keyId, atMs }));
  }

  /** The keys of which some topic may not have heard. */
  untold(): number[] {
    return this.#entries().flatMap(({ keyId, isTold }) => (isTold ? [] : [keyId]));
  }

  /** Drops what no cache can contradict any more; returns when there is more to drop, `null` for never. */
  expire(nowMs: number): number | null {
    const kept = this.#entries().filter(({ keyId, atMs }) => {
      const isOver = atMs + KEEP_MS <= nowMs;
      if (isOver) this.remove(keyId);
      return !isOver;
    });
    return kept.length === 0 ? null : Math.min(...kept.map(({ atMs }) => atMs)) + KEEP_MS;
  }

  #entries(): v.InferOutput<typeof EntrySchema>[] {
    return Array.from(this.#kv.list({ prefix: PREFIX }), ([, value]) =>
      v.parse(EntrySchema, value),
    );
  }
}
