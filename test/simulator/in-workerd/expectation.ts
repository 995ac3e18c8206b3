/**
 * Where a subscriber that asks for the past must begin. It can be said beforehand when nothing is under
 * way; at other times the chain of what it gets must do.
 */
import { formatPlace, parsePlace, range, type Place, type Step } from "./place.ts";
import { excludedTo, olderTo, retainedFrom, type LogView } from "./retention.ts";
import type { EpochLog } from "./ledger.ts";
import { Violation } from "./violation.ts";

/** How far durations go back, in seconds. */
const DURATIONS: Readonly<Record<string, number>> = {
  "30s": 30,
  "5m": 300,
  "2h": 7200,
  "30d": 30 * 86_400,
};

/** Where a subscriber begins. */
interface Start {
  readonly epoch: string;
  readonly least: number;
  readonly most: number;
}

/** What must hold for a subscriber's beginning. */
export class Expectation {
  readonly #start: Start | null;
  readonly #recovered: boolean | null | "unknown";

  constructor(start: Start | null, recovered: boolean | null | "unknown") {
    this.#start = start;
    this.#recovered = recovered;
  }

  /** Checks where a stream began. */
  checkOpen(place: Place, recovered: boolean | null): void {
    if (this.#recovered !== "unknown" && recovered !== this.#recovered) {
      throw new Violation(`"recovered" is ${recovered} and should be ${this.#recovered} (10.3)`);
    }
    // What is told of as missing may be any more.
    if (recovered === false) return;
    const gap = this.gapBefore(place);
    if (gap !== null) throw new Violation(`It begins after ${range(gap)} (9.4)`);
  }

  /** Checks where a stream goes on that was told of a gap first. */
  checkGap({ epoch, offset }: Place): void {
    const start = this.#start;
    if (start === null || (epoch === start.epoch && offset >= start.least)) return;
    const least = formatPlace({ epoch: start.epoch, offset: start.least });
    throw new Violation(
      `It goes on after ${formatPlace({ epoch, offset })}, before ${least} (9.6)`,
    );
  }

  /** What is missing if the messages begin after a place: the log may have been trimmed meanwhile. */
  gapBefore(place: Place): Step | null {
    const start = this.#start;
    if (start === null) return null;
    const { epoch, least, most } = start;
    if (place.epoch !== epoch || place.offset < least) {
      const where = `not from ${least} to ${most} of ${epoch}`;
      throw new Violation(`It begins after ${formatPlace(place)}, ${where} (9.4)`);
    }
    return place.offset > most ? { from: { epoch, offset: most }, to: place } : null;
  }
}

/** Nothing can be said. */
export const ANYTHING: Expectation = new Expectation(null, "unknown");

/** What a subscriber gets when all is quiet and the head of the log is known. */
export function expectAtRest(since: string | null, log: EpochLog, view: LogView): Expectation {
  const { epoch, last } = log;
  const exactly = (offset: number): Start => ({ epoch, least: offset, most: offset });
  if (since === null) return new Expectation(exactly(last), null);
  const before = retainedFrom(log, view) - 1;
  const atMost: Start = { epoch, least: -Infinity, most: before };
  const excluded = excludedTo(log, view);
  if (since === "earliest") return new Expectation({ ...atMost, least: excluded }, true);
  const duration = DURATIONS[since];
  if (duration !== undefined) {
    const older = Math.max(excluded, olderTo(log, view.publications, duration));
    const most = since === "30d" ? before : Infinity;
    return new Expectation({ epoch, least: older, most }, "unknown");
  }
  if (since.startsWith("-")) {
    const from = last - Number(since.slice(1));
    if (from >= before) return new Expectation(exactly(from), true);
    return new Expectation(atMost, "unknown");
  }
  const cursor = parsePlace(since);
  if (cursor.epoch !== epoch || cursor.offset < before || cursor.offset > last) return ANYTHING;
  return new Expectation(exactly(cursor.offset), true);
}
