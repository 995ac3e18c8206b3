/**
 * Whose turn it is with something that serves one at a time: first come, first served. A holder may keep its
 * turn and do nothing, as an open transaction does, but not while others wait.
 */

/** Milliseconds that a holder may do nothing while others wait. */
const IDLE_TIMEOUT_MS = 1000;

/** Milliseconds after which it is said that a holder lets others wait; the hub waits no longer for its keys. */
const LONG_WAIT_MS = 2000;

/** One that waits for a turn, or has it. */
export interface Holder {
  /** What people call it. */
  readonly name: string;
  /** It was idle for too long while others waited: it must release the turn, soon. */
  giveUp(): void;
}

/** The queue; `release` is due after every `take`. */
export class Turns {
  #holder: Holder | null = null;
  #isIdle = false;
  #timer: NodeJS.Timeout | null = null;
  #longWait: NodeJS.Timeout | null = null;
  readonly #waiting: { holder: Holder; begin: () => void }[] = [];

  /** Resolves once it is the holder's turn. */
  async take(holder: Holder): Promise<void> {
    if (this.#holder === null) {
      this.#holder = holder;
      return;
    }
    await new Promise<void>((begin) => {
      this.#waiting.push({ holder, begin });
      this.#watch();
    });
  }

  /** The holder keeps its turn and does nothing with it from now on. */
  idle(): void {
    this.#isIdle = true;
    this.#watch();
  }

  /** The holder does something again. */
  busy(): void {
    this.#isIdle = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  release(): void {
    this.busy();
    if (this.#longWait !== null) clearTimeout(this.#longWait);
    this.#longWait = null;
    const next = this.#waiting.shift();
    this.#holder = next?.holder ?? null;
    next?.begin();
    this.#watch();
  }

  #watch(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#longWait ??= setTimeout(() => {
      const holder = this.#holder?.name;
      console.error(`Postgres is busy with a transaction of ${holder}: ${first.holder.name} waits`);
    }, LONG_WAIT_MS);
    if (!this.#isIdle) return;
    this.#timer ??= setTimeout(() => {
      this.busy();
      this.#holder?.giveUp();
    }, IDLE_TIMEOUT_MS);
  }
}
