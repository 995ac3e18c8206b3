/**
 * A page: messages of a topic's log as plain HTTP gives them (PROTOCOL.md, section 18). Its members are those of the
 * frames of the stream that say the same. Pure; knows no log.
 */
import type { EndReason } from "./end-reason.ts";
import { formatSpans, type Span } from "./span.ts";

/** Messages that a page may have, and has unless the client says otherwise. */
export const MAX_PAGE_MESSAGES = 1000;
export const DEFAULT_PAGE_MESSAGES = 100;

/** What a page says. */
export interface Page {
  /** The place of its last message, after which the next page begins. */
  readonly cursor: string;
  /** What was asked for and cannot be had, `null` if nothing of it is missing. */
  readonly gap: { readonly from: string; readonly to: string } | null;
  /** Whether the log has messages behind it. */
  readonly more: boolean;
  /** How the topic ended, `null` while it has not. */
  readonly end: EndReason | null;
  /** When its messages were published. */
  readonly at: readonly Span[];
  /** The messages, as `formatMessageList` wrote them. */
  readonly list: string;
}

/** Writes a page as JSON, and a line's end: many read it in a terminal. */
export function formatPage({ cursor, gap, more, end, at, list }: Page): string {
  const head = JSON.stringify({ cursor, gap, more, end }).slice(0, -1);
  return `${head},"at":${formatSpans(at)},"messages":${list}}\n`;
}
