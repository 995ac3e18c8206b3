/**
 * Follows what a stream subscriber receives (PROTOCOL.md, 10.3 to 10.6): the chain from `open` through
 * messages and gaps must be unbroken. Every message goes into the ledger.
 */
import type { EndReason } from "../../../src/core/end-reason.ts";
import { keyOf } from "./body.ts";
import { parseToSubscriber, type ToSubscriber } from "./hub-frame.ts";
import type { Ledger } from "./ledger.ts";
import { formatPlace, parsePlace, type Place, type Step } from "./place.ts";
import type { Expectation } from "./expectation.ts";
import { Violation } from "./violation.ts";

/** What a subscriber asked for, as far as a reader must know. */
export interface Asked {
  readonly since: string | null;
  readonly gap: "skip" | "close";
  readonly expectation: Expectation;
}

/** One subscriber's view of the stream. */
export class StreamReader {
  readonly seen: Set<string> = new Set();
  readonly gaps: Step[] = [];
  /** Where it went on in a new epoch without a gap. */
  readonly crossings: Step[] = [];
  /** Where it began: the cursor of `open`. */
  start: Place | null = null;
  /** How the topic ended, `null` while nobody has said. */
  endReason: EndReason | null = null;
  /** The last cursor of whatever frame. */
  cursor: string | null = null;
  readonly #asked: Asked;
  readonly #ledger: Ledger;
  #place: Place | null = null;
  #owesGap = false;
  #hasEnded = false;

  constructor(asked: Asked, ledger: Ledger) {
    this.#asked = asked;
    this.#ledger = ledger;
  }

  /** Takes a frame; returns it. */
  take(data: string | ArrayBuffer): ToSubscriber {
    const frame = parseToSubscriber(data);
    if (this.#hasEnded) throw new Violation(`"${frame.type}" came after "end" (10.6)`);
    if (this.#owesGap && frame.type !== "gap") {
      throw new Violation(`"${frame.type}" came where a gap is due (10.3)`);
    }
    if ((this.#place === null) !== (frame.type === "open")) {
      throw new Violation(`"${frame.type}" came ${this.#place ? "again" : "first"} (10.3)`);
    }
    switch (frame.type) {
      case "open":
        this.#open(frame);
        break;
      case "gap":
        this.#gap(frame);
        break;
      case "messages":
        this.#messages(frame);
        break;
      case "end":
        this.#hasEnded = true;
        this.endReason = frame.reason;
        break;
    }
    if (frame.type !== "end") this.cursor = frame.type === "gap" ? frame.to : frame.cursor;
    return frame;
  }

  /** Checks that a close may come now. */
  close(code: number): void {
    if (code === 1000 && !this.#hasEnded) throw new Violation('1000 came without "end" (10.6)');
    // The close may come instead of the gap; then what follows must be what is missing.
    const from = this.#place;
    if (code === 4510 && this.gaps.length === 0 && from !== null) {
      this.gaps.push({ from, to: { epoch: from.epoch, offset: from.offset + 1 } });
    }
  }

  #open({ cursor, recovered }: Extract<ToSubscriber, { type: "open" }>): void {
    const { since, expectation } = this.#asked;
    if ((since === null) !== (recovered === null)) {
      throw new Violation(`"recovered" is ${recovered} for since=${since} (10.3)`);
    }
    const place = parsePlace(cursor);
    this.start = place;
    this.#place = place;
    this.#owesGap = recovered === false;
    if (since === "earliest" && recovered === false) {
      throw new Violation('"earliest" has no gap (9.6)');
    }
    if (recovered && since?.includes("-") && !since.startsWith("-") && since !== cursor) {
      throw new Violation(`It began at ${cursor} and not at ${since} (9.4)`);
    }
    if (recovered !== false) this.#ledger.noteEpoch(place.epoch);
    expectation.checkOpen(place, recovered);
  }

  #gap({ from, to }: Extract<ToSubscriber, { type: "gap" }>): void {
    const place = this.#place;
    const [start, end] = [parsePlace(from), parsePlace(to)];
    if (place === null || formatPlace(place) !== from) {
      throw new Violation(`A gap begins at ${from} and not at ${place && formatPlace(place)}`);
    }
    if (start.epoch === end.epoch && end.offset <= start.offset) {
      throw new Violation(`The gap from ${from} to ${to} has nothing in it (10.5)`);
    }
    this.#ledger.noteEpoch(end.epoch);
    if (this.#owesGap) this.#asked.expectation.checkGap(end);
    this.gaps.push({ from: start, to: end });
    this.#place = end;
    this.#owesGap = false;
  }

  #messages({ cursor, messages }: Extract<ToSubscriber, { type: "messages" }>): void {
    const place = this.#place;
    if (place === null) return;
    if (this.#asked.gap === "close" && this.gaps.length > 0) {
      throw new Violation("Messages came after a gap, in spite of gap=close (9.7)");
    }
    const last = parsePlace(cursor);
    const first: Place = { epoch: last.epoch, offset: last.offset - messages.length + 1 };
    if (first.epoch !== place.epoch) {
      this.crossings.push({ from: place, to: first });
    } else if (first.offset !== place.offset + 1) {
      throw new Violation(
        `${messages.length} messages up to ${cursor} came after ${formatPlace(place)} (10.4)`,
      );
    }
    messages.forEach((message, index) => {
      const key = keyOf(message);
      if (this.seen.has(key) && first.epoch === place.epoch && !this.#ledger.mayStandTwice(key)) {
        throw new Violation(`"${key}" came twice (9.5)`);
      }
      this.#ledger.record(key, { epoch: first.epoch, offset: first.offset + index });
      this.seen.add(key);
    });
    this.#place = last;
  }
}
