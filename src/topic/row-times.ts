/**
 * When the rows of a log were published, and which was the last before a time. Times rise with offsets, so that is a
 * search and no scan, and what was seen on the way is remembered: the next search reads nearly nothing. Where a clock
 * was set back, what it had written is as old as the correction: told here, not rewritten in the rows. Knows no SQL.
 * Invariant: of two rows the later one is not older.
 */

/** What decides whether a row may go. */
export interface RowPlace {
  /** The offset of its batch's last message. */
  readonly last: number;
  readonly atMs: number;
}

/** A row, as it is searched for. */
export interface RowTime extends RowPlace {
  /** The offset of its batch's first message. */
  readonly first: number;
}

/** Rows of which the time is remembered: every one up to so many, and then every 2nd, 4th... */
const MAX_MARKS = 16_384;
/** Corrections that are kept apart. */
const MAX_CORRECTIONS = 16;
/** Where messages come steadily these first guesses are good; where not, halving needs no luck. */
const GUESSES = 3;

/** The times of one log's rows. */
export class RowTimes {
  /** Rows that are known, by offset. */
  #marks: RowTime[] = [];
  #stride = 1;
  #untilMark = 1;
  /** By offset: up to `last` nothing is later than `atMs`. Both rise. */
  #corrections: readonly RowPlace[];

  constructor(corrections: readonly RowPlace[]) {
    this.#corrections = corrections;
  }

  /** What has to be stored. */
  get corrections(): readonly RowPlace[] {
    return this.#corrections;
  }

  /** When a row was published, by what is stored of it. */
  correct(last: number, atMs: number): number {
    const correction = this.#corrections.find((one) => last <= one.last);
    return correction === undefined ? atMs : Math.min(atMs, correction.atMs);
  }

  /** Sets all up to an offset that lies ahead of a time to that time. */
  setBack(last: number, atMs: number): void {
    const before = this.#corrections.filter((one) => one.atMs < atMs);
    const corrections = [...before, { last, atMs }];
    const [first, second, ...others] = corrections;
    // Some then count as older than they are, rather than as younger than what came later.
    const isOver =
      first !== undefined && second !== undefined && corrections.length > MAX_CORRECTIONS;
    this.#corrections = isOver ? [{ last: second.last, atMs: first.atMs }, ...others] : corrections;
    this.#marks = this.#marks.map((mark) => ({
      ...mark,
      atMs: this.correct(mark.last, mark.atMs),
    }));
  }

  /** A row was written behind all others. */
  append(row: RowTime): void {
    this.#untilMark -= 1;
    if (this.#untilMark > 0) return;
    this.#untilMark = this.#stride;
    this.#insert(this.#marks.length, row);
  }

  /** Nothing before a row is there any more. */
  forgetBefore(oldest: RowPlace | null): void {
    if (oldest === null) {
      this.#marks = [];
      this.#corrections = [];
      return;
    }
    const isThere = ({ last }: RowPlace): boolean => last >= oldest.last;
    const kept = this.#marks.findIndex(isThere);
    if (kept !== 0) this.#marks.splice(0, kept < 0 ? this.#marks.length : kept);
    this.#corrections = this.#corrections.filter(isThere);
  }

  /**
   * The offset of the last message before a time, which lies behind the oldest row and not behind the newest. `read`
   * finds the row of an offset, or the last one before it.
   */
  lastBefore(
    timeMs: number,
    { oldest, newest }: { readonly oldest: RowPlace; readonly newest: RowTime },
    read: (offset: number) => RowTime | null,
  ): number {
    const at = this.#indexOf(({ atMs }) => atMs >= timeMs);
    let before: RowPlace = this.#marks[at - 1] ?? oldest;
    let behind: RowTime = this.#marks[at] ?? newest;
    // Up to here it is known that nothing lies between the two.
    let known = before.last;
    for (let reads = 0; known + 1 < behind.first; reads++) {
      const between = behind.first - known - 1;
      const part = reads < GUESSES ? (timeMs - before.atMs) / (behind.atMs - before.atMs) : 1 / 2;
      const offset = known + 1 + Math.min(Math.floor(part * between), between - 1);
      const row = read(offset);
      if (row === null || row.last <= known) {
        // A hole: what was there cannot be read.
        known = offset;
        continue;
      }
      this.#insert(
        this.#indexOf(({ last }) => last >= row.last),
        row,
      );
      if (row.atMs >= timeMs) {
        behind = row;
      } else {
        before = row;
        known = Math.max(row.last, offset);
      }
    }
    return before.last;
  }

  /** The index of the first mark of which something holds that holds of all behind it. */
  #indexOf(holds: (mark: RowTime) => boolean): number {
    let from = 0;
    let to = this.#marks.length;
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const mark = this.#marks[middle];
      if (mark !== undefined && holds(mark)) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  #insert(index: number, row: RowTime): void {
    if (this.#marks[index]?.last === row.last) return;
    this.#marks.splice(index, 0, row);
    if (this.#marks.length <= MAX_MARKS) return;
    this.#marks = this.#marks.filter((_, n) => n % 2 === 0);
    this.#stride *= 2;
  }
}
