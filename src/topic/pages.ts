/**
 * Pages: what a topic's log has, read by one call that leaves nothing behind. A page takes no place and writes nothing.
 * Knows no HTTP.
 * Invariant: a page begins where it was asked to, or says what is missing.
 */
import { refusalOfEnded, type Answer, type SubscriberAdmission } from "../core/admission.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { formatPage, MAX_PAGE_MESSAGES, type Page } from "../core/page.ts";
import { parseSince } from "../core/since.ts";
import { transition } from "../core/topic-state.ts";
import { Batch } from "../delivery/batch.ts";
import { MAX_FRAME_BYTES } from "../delivery/frames.ts";
import { policyFor } from "./join-policy.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";

/** Units of text that pass a call whatever they are: it takes 32 MiB, and one may need two bytes (platform limits). */
const MAX_CALL_UNITS = 8 * 1024 * 1024;

/** A page as JSON, or why there is none. */
export type PageAnswer =
  | {
      readonly type: "page";
      readonly body: string | ReadableStream<Uint8Array>;
      readonly cursor: string;
      /** Whether it says nothing that its reader did not know: neither a message, nor a gap, nor an end. */
      readonly isEmpty: boolean;
    }
  | Answer;

/** The parts of a topic that a page is read from. */
export interface ReadParts {
  readonly keyWatch: KeyWatch;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
}

/** The pages of one topic. */
export class Pages {
  readonly #parts: ReadParts;

  constructor(parts: ReadParts) {
    this.#parts = parts;
  }

  /** Reads at most so many messages; without a pause, so that what is judged is what is read. */
  read(admission: SubscriberAdmission, limit: number): PageAnswer {
    const refusal = this.#judge(admission);
    if (refusal !== null) return refusal;
    const page = this.#readPage(admission, limit);
    const { cursor, gap, end, at } = page;
    const text = formatPage(page);
    // A longer one would be refused; as bytes in a stream it is none.
    const body = text.length <= MAX_CALL_UNITS ? text : (new Response(text).body ?? text);
    return { type: "page", body, cursor, isEmpty: gap === null && end === null && at.length === 0 };
  }

  /** Why it may not be read, `null` when it may. */
  #judge(admission: SubscriberAdmission): Answer | null {
    const { keyWatch, lifecycle, log } = this.#parts;
    const nowMs = Date.now();
    lifecycle.passTime(nowMs);
    const { isRechecked } = admission;
    let { grant } = admission;
    const keyId = grant?.keyId ?? null;
    if (grant !== null && keyId !== null) {
      const verdict = keyWatch.judge(grant, keyId, isRechecked);
      if (verdict.type === "dead") return { type: "refused", slug: "key-rejected" };
      if (verdict.type === "doubtful") return { type: "needs", what: "recheck" };
      grant = verdict.grant;
    }
    const ended = refusalOfEnded(grant, nowMs);
    if (ended !== null) return ended;
    const event = {
      type: "subscriber-connects",
      policy: policyFor(admission, lifecycle),
      isGranted: grant !== null,
      waits: false,
      readsPast: lifecycle.state.phase === "vacant" && log.hasPast(nowMs),
      // It takes no place.
      subscribers: 0,
    } as const;
    return transition(lifecycle.state, event, nowMs).refusal;
  }

  #readPage(admission: SubscriberAdmission, limit: number): Page {
    const { lifecycle, log } = this.#parts;
    const asked = parseSince(admission.since ?? "earliest");
    // The edge has checked it.
    if (!asked.ok) throw new Error(asked.error);
    const { cursor: start, gapFrom } = log.resume(asked.value, Date.now());
    const most = Math.min(Math.max(limit, 1), MAX_PAGE_MESSAGES);
    const { skippedTo, batch } = this.#readBatch(start.offset, most);
    const begin: Cursor = { ...start, offset: skippedTo };
    const isVacant = lifecycle.state.phase === "vacant";
    // A wait on a shared topic is for more.
    const isOver = isVacant && policyFor(admission, lifecycle)?.publishers === "exclusive";
    const from = gapFrom ?? (skippedTo > start.offset ? start : null);
    const last: Cursor = batch === null ? begin : { ...start, offset: batch.place.last };
    return {
      cursor: formatCursor(last),
      gap: from === null ? null : { from: formatCursor(from), to: formatCursor(begin) },
      more: last.offset < log.head.offset,
      end: isOver ? log.ended : null,
      at: batch?.spans ?? [],
      list: batch?.list ?? "[]",
    };
  }

  /** What follows an offset, up to so many messages and what a frame takes; what cannot be read is passed over first. */
  #readBatch(
    offset: number,
    most: number,
  ): { readonly skippedTo: number; readonly batch: Batch | null } {
    const { log } = this.#parts;
    let skippedTo = offset;
    const batches: Batch[] = [];
    let units = 0;
    for (let at = offset; at < skippedTo + most && units < MAX_FRAME_BYTES;) {
      const read = log.read(at);
      if (read instanceof Batch) {
        const next = read.upTo(skippedTo + most);
        batches.push(next);
        units += next.list.length;
        at = next.place.last;
      } else if (read !== null && batches.length === 0) {
        skippedTo = at = read;
      } else break;
    }
    const [first, ...rest] = batches;
    if (first === undefined) return { skippedTo, batch: null };
    const batch = Batch.join([first, ...rest]);
    return { skippedTo, batch: batch.upTo(batch.frames[0]?.last ?? batch.place.last) };
  }
}
