/**
 * The third error plane: events for the operator, one JSON object a line. Callers pass slugs, codes
 * and counts; never a key, a header or a URL, since the original's URL holds the key. Invariant: what happens again
 * and again, also at somebody's will, is counted and not written each time.
 */
import QuickLRU from "quick-lru";

/** A flat event; `event` is a stable name in kebab case. */
export interface LogEvent {
  readonly event: string;
  readonly [field: string]: string | number | boolean | null;
}

/** What is written anew after so long, however often it happened meanwhile. */
const WINDOW_MS = 10_000;
/** Events that are counted at a time, each with its fields. */
const MAX_EVENTS = 200;

interface Tally {
  readonly sinceMs: number;
  /** In this window. */
  count: number;
  /** Of which no line has told yet. */
  untold: number;
}

const tallies: QuickLRU<string, Tally> = new QuickLRU({ maxSize: MAX_EVENTS });

/**
 * Something the operator must repair. The same event is written at its 1st, 10th, 100th… time in ten seconds; `count`
 * says of how many a line tells, where it is more than this one.
 */
export function logError(event: LogEvent): void {
  const text = JSON.stringify({ level: "error", ...event });
  const nowMs = Date.now();
  const known = tallies.get(text);
  const isOver = known === undefined || nowMs - known.sinceMs >= WINDOW_MS;
  const tally = isOver ? { sinceMs: nowMs, count: 0, untold: known?.untold ?? 0 } : known;
  tallies.set(text, tally);
  tally.count += 1;
  tally.untold += 1;
  if (!isPowerOfTen(tally.count)) return;
  const { untold } = tally;
  tally.untold = 0;
  console.error(untold === 1 ? text : JSON.stringify({ level: "error", ...event, count: untold }));
}

function isPowerOfTen(count: number): boolean {
  return Number.isInteger(Math.log10(count));
}

/** Something that the operator may want to know. Not bounded here: callers write few. */
export function logInfo(event: LogEvent): void {
  console.log(JSON.stringify({ level: "info", ...event }));
}
