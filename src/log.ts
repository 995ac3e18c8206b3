/**
 * The third error plane: events for the operator, one JSON object a line. Callers pass slugs, codes
 * and counts; never a key, a header or a URL, since the original's URL holds the key.
 */

/** A flat event; `event` is a stable name in kebab case. */
export interface LogEvent {
  readonly event: string;
  readonly [field: string]: string | number | boolean | null;
}

/** Something the operator must repair. */
export function logError(event: LogEvent): void {
  console.error(JSON.stringify({ level: "error", ...event }));
}
