/**
 * When the messages of a frame were published (PROTOCOL.md, 10.4): spans, each of so many messages that follow each
 * other and have one time. Knows neither messages nor logs.
 */
import { err, ok, type Result } from "./result.ts";

/** So many messages that follow each other, and when they were published, in milliseconds since the epoch. */
export interface Span {
  readonly count: number;
  readonly atMs: number;
}

/** What a span takes at most in a frame that has several, with its comma; of 100,000 messages and more some bytes more. */
export const SPAN_BYTES = 36;

/** RFC 3339 with milliseconds, in UTC: as the hub writes it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Writes the member `at`: one time where all have it, else a list of `[count, time]`. */
export function formatSpans(spans: readonly Span[]): string {
  const [first] = spans;
  if (first !== undefined && spans.length === 1) return formatTime(first.atMs);
  return `[${spans.map(({ count, atMs }) => `[${count},${formatTime(atMs)}]`).join(",")}]`;
}

/** Reads the member `at` of a frame with so many messages. */
export function parseSpans(value: unknown, count: number): Result<readonly Span[]> {
  const items: readonly unknown[] = Array.isArray(value) ? value : [[count, value]];
  const spans: Span[] = [];
  let rest = count;
  for (const item of items) {
    const span = parseSpan(item);
    if (span === null) return notSpans();
    spans.push(span);
    rest -= span.count;
  }
  return rest === 0 ? ok(spans) : notSpans();
}

/** Puts spans behind each other; those that meet and have one time become one. */
export function joinSpans(lists: readonly (readonly Span[])[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of lists.flat()) {
    const last = joined.at(-1);
    if (last?.atMs !== span.atMs) joined.push(span);
    else joined[joined.length - 1] = { count: last.count + span.count, atMs: span.atMs };
  }
  return joined;
}

/** The spans of a part of the messages, from an index up to another, without that. */
export function sliceSpans(spans: readonly Span[], from: number, to: number): readonly Span[] {
  const part: Span[] = [];
  let first = 0;
  for (const { count, atMs } of spans) {
    const [start, end] = [Math.max(first, from), Math.min(first + count, to)];
    if (start < end) part.push({ count: end - start, atMs });
    first += count;
  }
  return part;
}

function formatTime(atMs: number): string {
  return `"${new Date(atMs).toISOString()}"`;
}

function parseSpan(item: unknown): Span | null {
  if (!Array.isArray(item)) return null;
  const [count, time]: readonly unknown[] = item;
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1) return null;
  if (typeof time !== "string" || !TIME.test(time)) return null;
  const atMs = Date.parse(time);
  return Number.isNaN(atMs) ? null : { count, atMs };
}

function notSpans(): Result<never> {
  return err('Expected "at" to be a time, or a list of [count, time] for as many messages');
}
