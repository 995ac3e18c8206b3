/**
 * How many rows a register has, stored beside them: what bounds the register must not walk it. Rows that the version
 * before wrote are counted when a count is first wanted; what that version changes after a rollback is put right by
 * the daily sweep.
 */
import * as v from "valibot";

/** The key under which it is stored. */
export const COUNT: string = "count";

/** The counted rows. */
export interface Counted {
  /** Topics that are live or in grace. */
  readonly topics: number;
  /** Keys by which somebody waits on a topic that is neither, each topic's by itself. */
  readonly waiting: number;
}

const CountedSchema: v.GenericSchema<unknown, Counted> = v.object({
  topics: v.number(),
  waiting: v.number(),
});

/** The count of one register. */
export class RegisterCount {
  readonly #kv: SyncKvStorage;
  readonly #walk: () => Counted;

  /** `walk`: counts what there is. */
  constructor(kv: SyncKvStorage, walk: () => Counted) {
    this.#kv = kv;
    this.#walk = walk;
  }

  /** What there is. */
  get value(): Counted {
    return this.#stored ?? this.correct();
  }

  /** A row was just entered or struck. */
  add({ topics = 0, waiting = 0 }: Partial<Counted>): void {
    const stored = this.#stored;
    // A walk finds the row as it is now.
    if (stored === null) this.correct();
    else this.#put({ topics: stored.topics + topics, waiting: stored.waiting + waiting });
  }

  /** Counts anew. */
  correct(): Counted {
    return this.#put(this.#walk());
  }

  get #stored(): Counted | null {
    const value = this.#kv.get(COUNT);
    return value === undefined ? null : v.parse(CountedSchema, value);
  }

  #put(counted: Counted): Counted {
    this.#kv.put(COUNT, counted);
    return counted;
  }
}
