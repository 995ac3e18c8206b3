/**
 * Follows pages of a log (PROTOCOL.md, 18.2): one behind the other they say what a stream does, so they are read as one.
 * What a page says beside that, of its own, is held against what was asked for.
 */
import * as v from "valibot";
import { isEndReason, type EndReason } from "../../../src/core/end-reason.ts";
import type { Ledger } from "./ledger.ts";
import { formatPlace, parsePlace } from "./place.ts";
import { StreamReader, type Asked } from "./stream-reader.ts";
import { Violation } from "./violation.ts";

const PageSchema = v.object({
  cursor: v.string(),
  gap: v.nullable(v.object({ from: v.string(), to: v.string() })),
  more: v.boolean(),
  end: v.nullable(v.custom<EndReason>((end) => typeof end === "string" && isEndReason(end))),
  at: v.unknown(),
  messages: v.array(v.unknown()),
});

/** A page, as it was read. */
export type ReadPage = v.InferOutput<typeof PageSchema>;

/** One client's pages. */
export class PageReader {
  readonly reader: StreamReader;
  readonly #since: string;
  #hasBegun = false;

  constructor(asked: Asked, ledger: Ledger) {
    this.reader = new StreamReader(asked, ledger);
    this.#since = asked.since ?? "earliest";
  }

  /** Where the next page begins. */
  get since(): string {
    return this.reader.cursor ?? this.#since;
  }

  /** Takes a page of so many messages at most. */
  take(json: string, limit: number): ReadPage {
    const page = v.parse(PageSchema, JSON.parse(json));
    const { cursor, gap, at, messages } = page;
    if (messages.length > limit) {
      throw new Violation(`${messages.length} messages came where ${limit} were asked for (18.2)`);
    }
    const last = parsePlace(cursor);
    const start = formatPlace({ ...last, offset: last.offset - messages.length });
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      // Of "earliest" only what cannot be read is missing.
      const recovered = gap === null || this.#since === "earliest";
      this.#feed({ type: "open", cursor: gap?.from ?? start, recovered });
    }
    if (gap !== null) this.#feed({ type: "gap", ...gap });
    if (messages.length > 0) this.#feed({ type: "messages", cursor, at, messages });
    if (this.reader.cursor !== cursor) {
      throw new Violation(`A page up to ${cursor} ends at ${this.reader.cursor} (18.2)`);
    }
    return page;
  }

  #feed(frame: object): void {
    this.reader.take(JSON.stringify(frame));
  }
}
