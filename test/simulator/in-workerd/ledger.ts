/**
 * The log as its observers saw it: which message stands where, by everything that any subscriber or
 * any ack ever said. Knows no sockets.
 * Invariants, each a promise of the hub's: a place holds one message for ever; a message has one place
 * in an epoch while the hub must know its id; a new epoch only comes where a log may have been lost.
 */
import { shortKey } from "./body.ts";
import { formatPlace, range, type Place, type Step } from "./place.ts";
import { isSentOnce, type Publications } from "./publication.ts";
import { Violation } from "./violation.ts";

/** What is known of one epoch. */
export interface EpochLog {
  readonly epoch: string;
  readonly keys: Map<number, string>;
  first: number;
  last: number;
}

/** Everything that is known about a topic's log. */
export class Ledger {
  readonly #publications: Publications;
  readonly #epochs: Map<string, EpochLog> = new Map();
  readonly #places: Map<string, Place[]> = new Map();
  /** How many epochs may still begin because a log may have been lost. */
  #lossesAllowed = 0;

  constructor(publications: Publications) {
    this.#publications = publications;
  }

  /** The epochs in the order in which they became known. */
  get epochs(): readonly EpochLog[] {
    return [...this.#epochs.values()];
  }

  epoch(name: string): EpochLog | undefined {
    return this.#epochs.get(name);
  }

  /** The places where a message was seen. */
  placesOf(key: string): readonly Place[] {
    return this.#places.get(key) ?? [];
  }

  /** Whether a message may have been published once more, since the hub has forgotten its id. */
  mayStandTwice(key: string): boolean {
    const { publication } = this.#publications.messageOf(key);
    return !isSentOnce(publication) && this.#publications.mayBeForgotten(publication);
  }

  /** The message at a place, if anybody saw it. */
  keyAt({ epoch, offset }: Place): string | undefined {
    return this.#epochs.get(epoch)?.keys.get(offset);
  }

  /** Whether there is anything that who goes on in a new epoch without a gap has missed, in either of them. */
  hasBetween({ from, to }: Step): boolean {
    const [before, after] = [this.epoch(from.epoch), this.epoch(to.epoch)];
    return (before?.last ?? -Infinity) > from.offset || (after?.first ?? Infinity) < to.offset;
  }

  /** From now on one more epoch may begin: what just happened may have cost the log. */
  allowLoss(): void {
    this.#lossesAllowed++;
  }

  /** The head of the log is known: losses that did not show were none. */
  settle(): void {
    this.#lossesAllowed = 0;
  }

  /** Takes note of an epoch that the hub named. */
  noteEpoch(epoch: string): EpochLog {
    const known = this.#epochs.get(epoch);
    if (known !== undefined) return known;
    // An epoch in which nobody saw a message cost nobody anything.
    const isLoss = (this.epochs.at(-1)?.keys.size ?? 0) > 0;
    if (isLoss && this.#lossesAllowed === 0) {
      throw new Violation(`The log was lost: epoch "${epoch}" begins for no reason (9.9)`);
    }
    if (isLoss) this.#lossesAllowed--;
    const log: EpochLog = { epoch, keys: new Map(), first: Infinity, last: -Infinity };
    this.#epochs.set(epoch, log);
    return log;
  }

  /** Takes note of a message at its place. */
  record(key: string, place: Place): void {
    const { publication } = this.#publications.messageOf(key);
    const log = this.noteEpoch(place.epoch);
    const before = log.keys.get(place.offset);
    if (before === key) return;
    const at = formatPlace(place);
    if (before !== undefined) {
      const messages = `"${shortKey(before)}" and "${shortKey(key)}"`;
      throw new Violation(`Two messages stand at ${at}: ${messages} (9.1)`);
    }
    if (publication.isOversize) {
      throw new Violation(`"${shortKey(key)}" is too large, yet stands at ${at} (6.5)`);
    }
    const elsewhere = this.placesOf(key).find(
      ({ epoch }) => epoch === place.epoch || isSentOnce(publication),
    );
    if (elsewhere !== undefined && !this.mayStandTwice(key)) {
      const places = `${formatPlace(elsewhere)} and ${at}`;
      throw new Violation(`"${shortKey(key)}" stands at two places: ${places} (10.9)`);
    }
    log.keys.set(place.offset, key);
    log.first = Math.min(log.first, place.offset);
    log.last = Math.max(log.last, place.offset);
    this.#places.set(key, [...this.placesOf(key), place]);
  }
}

/** What is wrong where there is something. */
export function missedBetween(crossing: Step): Violation {
  return new Violation(`It missed messages between ${range(crossing)} (9.9)`);
}
