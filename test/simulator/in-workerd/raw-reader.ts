/**
 * Follows what a raw subscriber receives. Bare messages carry no cursors, so most can only be checked
 * at the end, against the ledger.
 */
import { keyOf, shortKey, type Body } from "./body.ts";
import type { Asked } from "./stream-reader.ts";
import type { Ledger } from "./ledger.ts";
import { formatPlace, parsePlace, type Place, type Step } from "./place.ts";
import { isSentOnce, type Publications } from "./publication.ts";
import { Violation } from "./violation.ts";

/** One raw subscriber's messages. */
export class RawReader {
  readonly seen: Set<string> = new Set();
  readonly #keys: string[] = [];
  readonly #asked: Asked;
  readonly #publications: Publications;

  constructor(asked: Asked, publications: Publications) {
    this.#asked = asked;
    this.#publications = publications;
  }

  take(body: Body): void {
    const key = keyOf(body);
    const { publication } = this.#publications.messageOf(key);
    if (this.seen.has(key) && isSentOnce(publication)) {
      throw new Violation(`"${shortKey(key)}" came twice (9.5)`);
    }
    this.seen.add(key);
    this.#keys.push(key);
  }

  close(code: number): void {
    if (code === 4510 && this.#asked.gap === "skip") {
      throw new Violation("4510 came without gap=close (9.7)");
    }
  }

  /** Where its messages stand; holes and crossings are for others to judge. */
  follow(ledger: Ledger): { start: Place | null; gaps: Step[]; crossings: Step[] } {
    const gaps: Step[] = [];
    const crossings: Step[] = [];
    let { place, start }: { place: Place | null; start: Place | null } = {
      place: null,
      start: null,
    };
    let unknown = 0;
    for (const [index, key] of this.#keys.entries()) {
      const next = choosePlace(ledger.placesOf(key), place);
      if (next === undefined) {
        unknown++;
        continue;
      }
      if (place === null) {
        if (index === 0) start = { epoch: next.epoch, offset: next.offset - 1 };
      } else if (place.epoch !== next.epoch) {
        if (unknown === 0) crossings.push({ from: place, to: next });
      } else if (next.offset <= place.offset + unknown) {
        throw new Violation(
          `"${shortKey(key)}", at ${formatPlace(next)}, came after ${formatPlace(place)} (6.2)`,
        );
      } else if (next.offset > place.offset + unknown + 1) {
        gaps.push({ from: place, to: { epoch: next.epoch, offset: next.offset - 1 } });
      }
      place = next;
      unknown = 0;
    }
    this.#checkStart(start, gaps);
    return { start, gaps, crossings };
  }

  #checkStart(start: Place | null, gaps: Step[]): void {
    if (start === null) return;
    const { since, expectation } = this.#asked;
    const gap = expectation.gapBefore(start);
    if (gap !== null) {
      gaps.unshift(gap);
      return;
    }
    if (since === null || !since.includes("-") || since.startsWith("-")) return;
    const asked = parsePlace(since);
    if (asked.epoch !== start.epoch || asked.offset === start.offset) return;
    if (asked.offset > start.offset) {
      throw new Violation(`It began after ${formatPlace(start)} and not ${since} (9.4)`);
    }
    gaps.unshift({ from: asked, to: start });
  }
}

/** The place that continues; else one of the same epoch; else the last one. */
function choosePlace(places: readonly Place[], before: Place | null): Place | undefined {
  return places.find(({ epoch }) => epoch === before?.epoch) ?? places.at(-1);
}
