/**
 * Follows what a raw subscriber receives. Bare messages carry no cursors, so most can only be checked
 * at the end, against the ledger.
 */
import { keyOf, shortKey, type Body } from "./body.ts";
import type { Asked } from "./stream-reader.ts";
import { missedBetween, type Ledger } from "./ledger.ts";
import { formatPlace, parsePlace, type Place, type Step } from "./place.ts";
import { isSentOnce, type Publications } from "./publication.ts";
import { Violation } from "./violation.ts";

/** Where a subscriber's messages stand, up to one of them. */
interface Way {
  /** Before its first message, `null` where that one's place is not known. */
  readonly start: Place | null;
  readonly place: Place | null;
  readonly gaps: readonly Step[];
  /** How many messages came since whose places are not known. */
  readonly unknown: number;
}

/** Each loss of a log may double them. */
const MAX_WAYS = 64;

const BEGINNING: Way = { start: null, place: null, gaps: [], unknown: 0 };

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

  /**
   * Where its messages may stand; holes are for others to judge. What was sent again after the log was lost stands in
   * several epochs, so there may be several ways: one of them must hold.
   */
  follow(ledger: Ledger): Way[] {
    let ways: Way[] = [BEGINNING];
    for (const key of this.#keys) {
      const places = ledger.placesOf(key);
      if (places.length === 0) {
        ways = ways.map((way) => ({ ...way, unknown: way.unknown + 1 }));
        continue;
      }
      const next = ways.flatMap((way) => places.map((place) => goOn(way, { key, place }, ledger)));
      const [broken] = next.filter((way) => way instanceof Violation);
      ways = next.filter((way): way is Way => !(way instanceof Violation)).slice(0, MAX_WAYS);
      if (ways.length === 0 && broken !== undefined) throw broken;
    }
    return ways.map((way) => this.#withStart(way));
  }

  /** With what is missing before its first message. */
  #withStart(way: Way): Way {
    const { start } = way;
    if (start === null) return way;
    const { since, expectation } = this.#asked;
    const gap = expectation.gapBefore(start);
    if (gap !== null) return { ...way, gaps: [gap, ...way.gaps] };
    if (since === null || !since.includes("-") || since.startsWith("-")) return way;
    const asked = parsePlace(since);
    if (asked.epoch !== start.epoch || asked.offset === start.offset) return way;
    if (asked.offset > start.offset) {
      throw new Violation(`It began after ${formatPlace(start)} and not ${since} (9.4)`);
    }
    return { ...way, gaps: [{ from: asked, to: start }, ...way.gaps] };
  }
}

/** The way goes on to a place. */
function goOn(
  { start, place: before, gaps, unknown }: Way,
  { key, place }: { readonly key: string; readonly place: Place },
  ledger: Ledger,
): Way | Violation {
  const way = { start, place, gaps, unknown: 0 };
  if (before === null) {
    return unknown > 0 ? way : { ...way, start: { ...place, offset: place.offset - 1 } };
  }
  if (place.epoch !== before.epoch) {
    const crossing = { from: before, to: place };
    return unknown === 0 && ledger.hasBetween(crossing) ? missedBetween(crossing) : way;
  }
  if (place.offset <= before.offset + unknown) {
    return new Violation(
      `"${shortKey(key)}", at ${formatPlace(place)}, came after ${formatPlace(before)} (6.2)`,
    );
  }
  if (place.offset === before.offset + unknown + 1) return way;
  const gap = { from: before, to: { ...place, offset: place.offset - 1 } };
  return { ...way, gaps: [...gaps, gap] };
}
