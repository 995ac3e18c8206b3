/**
 * What an answer says that acknowledges a publish, be it a socket's or a post's: its messages stand together, up to its
 * cursor, and its id stands for them alone. Knows neither sockets nor HTTP.
 */
import type { Ledger } from "./ledger.ts";
import type { Observer } from "./observer.ts";
import { parsePlace, type Place } from "./place.ts";
import type { Publication, Publications } from "./publication.ts";
import { Violation } from "./violation.ts";

/** Where answers are noted. */
export interface Notes {
  readonly ledger: Ledger;
  readonly publications: Publications;
  readonly observer: Observer;
}

/** Takes the hub's word for where a publication is; returns its last place. */
export function acknowledge(publication: Publication, cursor: string, notes: Notes): Place {
  const { ledger, observer } = notes;
  const last = parsePlace(cursor);
  const first = last.offset - publication.keys.length + 1;
  publication.keys.forEach((key, index) => {
    ledger.record(key, { epoch: last.epoch, offset: first + index });
  });
  observer.sawCursor(cursor);
  checkRivals(publication, last, notes);
  return last;
}

/** An id stands for one content, as long as the hub must remember it. */
function checkRivals(
  publication: Publication,
  { epoch }: Place,
  { ledger, publications }: Notes,
): void {
  if (publications.mayBeForgotten(publication)) return;
  for (const rival of publications.rivalsOf(publication)) {
    const places = rival.keys.flatMap((key) => ledger.placesOf(key));
    if (!places.some((place) => place.epoch === epoch)) continue;
    if (publications.mayBeForgotten(rival)) continue;
    throw new Violation(`"${rival.id}" stands for two contents (10.9)`);
  }
}
