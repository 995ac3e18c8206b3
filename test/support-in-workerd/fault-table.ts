/**
 * What shall go wrong, and what was called: one table, which the tests write and the wrapped objects read,
 * since they share an isolate. Knows nothing of storage or stubs. Objects are told apart by their ids, so
 * that a test with a fresh address disturbs no other.
 */

/** What an object does that can be made to fail. */
export interface Happening {
  /** The object's id as text; that of the called object where one calls another. */
  readonly object: string;
  readonly kind: "write" | "read" | "alarm" | "call";
  /** The method: `kv.put`, `sql.exec`, `setAlarm`, `alarm`, or that of a call. */
  readonly method: string;
  /** The key or the SQL, if there is one. */
  readonly detail: string;
}

/** Which of the happenings a fault is for. */
export interface Occasion {
  /** Only this method. */
  readonly method?: string;
  /** Only where the key or the SQL holds this. */
  readonly matching?: string | RegExp;
  /** So many fitting ones go well first; none by default. */
  readonly after?: number;
  /** So many fail; one by default. `Infinity`: until the fault is stopped. */
  readonly times?: number;
}

/** A call between objects that was made. */
export interface Call {
  readonly object: string;
  readonly method: string;
  readonly args: readonly unknown[];
  /** Who called: `TOPIC domain/topic`, `DOMAIN domain`, `KeyDesk` or `edge`. */
  readonly from: string;
}

/** Something that shall go wrong. */
export class Fault<Effect = unknown> {
  readonly effect: Effect;
  readonly #happening: Pick<Happening, "object" | "kind">;
  readonly #occasion: Occasion;
  #fitting = 0;
  #struck = 0;
  #isStopped = false;

  constructor(happening: Pick<Happening, "object" | "kind">, occasion: Occasion, effect: Effect) {
    this.#happening = happening;
    this.#occasion = occasion;
    this.effect = effect;
  }

  /** How often it has struck. */
  get struck(): number {
    return this.#struck;
  }

  /** From now on all goes well again. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Whether it strikes now; counts. */
  strikes({ object, kind, method, detail }: Happening): boolean {
    const { after = 0, times = 1, matching = "" } = this.#occasion;
    if (this.#isStopped || this.#struck >= times) return false;
    if (object !== this.#happening.object || kind !== this.#happening.kind) return false;
    if (method !== (this.#occasion.method ?? method)) return false;
    const isMatch =
      typeof matching === "string" ? detail.includes(matching) : matching.test(detail);
    if (!isMatch) return false;
    this.#fitting += 1;
    if (this.#fitting <= after) return false;
    this.#struck += 1;
    return true;
  }

  /** What it is, for a report. */
  toString(): string {
    const { kind } = this.#happening;
    const { method = "any", matching = "" } = this.#occasion;
    return `${kind} ${method} ${matching}`.trim();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

/** The table of one isolate. */
export class FaultTable {
  readonly #faults: Fault[] = [];
  readonly #calls: Call[] = [];
  /** By object, what it has under way: calls to others and work that outlives a request. */
  readonly #work: Map<string, Set<object>> = new Map();
  readonly #held: Set<object> = new Set();

  /** Orders a fault. */
  add<Effect>(fault: Fault<Effect>): Fault<Effect> {
    this.#faults.push(fault);
    return fault;
  }

  /** The effect of the fault that strikes here, the one that was ordered first; `undefined` for none. */
  strike(happening: Happening): unknown {
    return this.#faults.find((fault) => fault.strikes(happening))?.effect;
  }

  /** Notes a call. */
  note(call: Call): void {
    this.#calls.push(call);
  }

  /** The calls to an object, in their order. */
  callsTo(object: string): readonly Call[] {
    return this.#calls.filter((call) => call.object === object);
  }

  /** An object is made anew: what it had under way in a former life is lost. */
  forgetWork(object: string): void {
    this.#work.delete(object);
  }

  /** Counts work of an object while it is under way. */
  async track<T>(object: string, work: Promise<T>): Promise<T> {
    const mark = {};
    const marks = this.#work.get(object) ?? new Set();
    this.#work.set(object, marks.add(mark));
    try {
      return await work;
    } finally {
      marks.delete(mark);
    }
  }

  /** Whether nothing is under way, or what there is may wait for a call that a test holds. */
  get isQuiet(): boolean {
    return this.#held.size > 0 || [...this.#work.values()].every(({ size }) => size === 0);
  }

  /** Counts a call as held until it goes on. */
  async hold(wait: Promise<void>): Promise<void> {
    this.#held.add(wait);
    await wait;
    this.#held.delete(wait);
  }

  /** Forgets everything; returns the faults that never struck. */
  clear(): readonly Fault[] {
    const faults = this.#faults.splice(0);
    for (const fault of faults) fault.stop();
    this.#calls.length = 0;
    this.#work.clear();
    this.#held.clear();
    return faults.filter(({ struck }) => struck === 0);
  }
}

/** The one that tests and objects share. */
export const table: FaultTable = new FaultTable();
