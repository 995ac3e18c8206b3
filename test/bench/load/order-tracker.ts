/**
 * Which messages a subscriber has had, by their sequence numbers, over any number of connections.
 *
 * What a cut connection leaves behind is not a message received: numbers count once their frame is
 * whole (`commit`), and those of a frame that never ended are taken back (`rollback`).
 */
interface Received {
  /** The sequence number of the first message; undefined before it. */
  first: number | undefined;
  /** The sequence number due next. */
  next: number;
  /** Numbers skipped. */
  lost: number;
  /** Numbers that had been there before, or out of order. */
  repeated: number;
}

export class OrderTracker {
  readonly #committed: Received = { first: undefined, next: 0, lost: 0, repeated: 0 };
  readonly #pending: Received = { ...this.#committed };

  get first(): number | undefined {
    return this.#committed.first;
  }

  get next(): number {
    return this.#committed.next;
  }

  get lost(): number {
    return this.#committed.lost;
  }

  get repeated(): number {
    return this.#committed.repeated;
  }

  take(sequence: number): void {
    const pending = this.#pending;
    if (pending.first === undefined) {
      pending.first = sequence;
      pending.next = sequence;
    }
    if (sequence < pending.next) {
      pending.repeated += 1;
      return;
    }
    pending.lost += sequence - pending.next;
    pending.next = sequence + 1;
  }

  commit(): void {
    Object.assign(this.#committed, this.#pending);
  }

  rollback(): void {
    Object.assign(this.#pending, this.#committed);
  }
}
