/**
 * The last publishes of a topic, so that none is published twice: its owner and id, what it is known by, and where it
 * is in the log. Knows no storage, and nothing of what is not in the log yet.
 * Invariant: the last ids of the owners that published last are there; no owner pushes out another one's of those.
 */
import * as v from "valibot";
import type { Owner } from "./owner.ts";

/** How many ids of one owner are remembered. */
export const MAX_IDS_EACH = 1000;
/** How many of all: those of the last 16 owners for certain. Stored, with 64 characters each, they fit in 2 MB. */
const MAX_IDS = 16 * MAX_IDS_EACH;

/**
 * A publish that is in the log: its id, the offset of its last message, the content's fingerprint and its owner. The
 * version before knows only the first two: what it stored has the content, and the owner, of whoever repeats it.
 */
export type PublishedId = readonly [
  id: string,
  offset: number,
  fingerprint: number | null,
  owner: Owner | null,
];

const LateNumberSchema = v.optional(v.nullable(v.number()), null);

/** Validates ids that come from storage or an attachment. */
export const PublishedIdsSchema: v.GenericSchema<unknown, PublishedId[]> = v.array(
  v.tuple([v.string(), v.number(), LateNumberSchema, LateNumberSchema]),
);

/** The last ids of one topic. */
export class RecentIds {
  /** The owner that published last is the last. */
  readonly #owners: Map<Owner | null, OwnIds> = new Map();
  #newest: OwnIds | null = null;
  #size = 0;

  constructor(ids: Iterable<PublishedId> = []) {
    for (const id of ids) this.add(id);
  }

  /** An owner's publish, `undefined` when its id is not among the last. */
  find(owner: Owner, id: string): PublishedId | undefined {
    return this.#owners.get(owner)?.find(id) ?? this.#owners.get(null)?.find(id);
  }

  /** Remembers a publish, and forgets what is over a bound: its owner's oldest, or one of who was silent for longest. */
  add(published: PublishedId): void {
    const [, , , owner] = published;
    const own = this.#owners.get(owner) ?? new OwnIds();
    if (own !== this.#newest) {
      this.#owners.delete(owner);
      this.#owners.set(owner, own);
      this.#newest = own;
    }
    this.#size -= own.size;
    own.add(published);
    this.#size += own.size;
    if (this.#size > MAX_IDS) this.#forgetOldest();
  }

  /** The last so many ids, oldest first; as many of each owner, as far as each has so many. */
  newest(count: number): PublishedId[] {
    const lists = [...this.#owners.values()].toReversed().map((own) => own.newestFirst());
    const newest: PublishedId[] = [];
    for (let nth = 0; newest.length < Math.min(count, this.#size); nth++) {
      const nths = lists.map((list) => list[nth]).filter((published) => published !== undefined);
      newest.push(...nths.slice(0, count - newest.length));
    }
    return newest.toSorted(([, one], [, other]) => one - other);
  }

  #forgetOldest(): void {
    for (const [owner, own] of this.#owners) {
      own.forgetOldest();
      this.#size -= 1;
      if (own.size === 0) this.#owners.delete(owner);
      return;
    }
  }
}

/** The last ids of one owner. */
class OwnIds {
  readonly #byId: Map<string, PublishedId> = new Map();
  /** Oldest first, from `#oldest` on: a Map's first entry is found behind all that were deleted. */
  #order: string[] = [];
  #oldest = 0;

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): PublishedId | undefined {
    return this.#byId.get(id);
  }

  add(published: PublishedId): void {
    const [id] = published;
    const { size } = this;
    this.#byId.set(id, published);
    if (this.size === size) return;
    this.#order.push(id);
    if (this.size > MAX_IDS_EACH) this.forgetOldest();
  }

  forgetOldest(): void {
    const id = this.#order[this.#oldest];
    if (id === undefined) return;
    this.#byId.delete(id);
    this.#oldest += 1;
    if (this.#oldest < MAX_IDS_EACH) return;
    this.#order = this.#order.slice(this.#oldest);
    this.#oldest = 0;
  }

  newestFirst(): PublishedId[] {
    return [...this.#byId.values()].toReversed();
  }
}
