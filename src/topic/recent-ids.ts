/** The ids of the last publishes and where they are in the log, so that none is published twice. */

/** How many ids are remembered. */
const MAX_IDS = 1000;

/** An id and the offset of the last message of its publish. */
export type PublishedId = readonly [id: string, offset: number];

/** The last ids of one topic. */
export class RecentIds {
  readonly #offsets: Map<string, number> = new Map();

  constructor(ids: Iterable<PublishedId> = []) {
    for (const [id, offset] of ids) this.add(id, offset);
  }

  /** The offset of a publish, `undefined` when its id is not among the last. */
  find(id: string): number | undefined {
    return this.#offsets.get(id);
  }

  /** Remembers an id and forgets the oldest one over the bound. */
  add(id: string, offset: number): void {
    this.#offsets.set(id, offset);
    if (this.#offsets.size <= MAX_IDS) return;
    const [oldest] = this.#offsets.keys();
    if (oldest !== undefined) this.#offsets.delete(oldest);
  }

  /** The offset of the oldest id, infinite when there is none. */
  get oldestOffset(): number {
    const [offset] = this.#offsets.values();
    return offset ?? Infinity;
  }

  /** The last so many ids, oldest first. */
  newest(count: number): PublishedId[] {
    return [...this.#offsets].slice(-count);
  }
}
