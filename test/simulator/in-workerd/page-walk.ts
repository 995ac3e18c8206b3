/**
 * Page by page up to the log's end (PROTOCOL.md, section 18). While all is quiet the model knows each page beforehand.
 */
import type { EndReason } from "../../../src/core/end-reason.ts";
import { subscriberAdmission } from "./admissions.ts";
import { ANYTHING } from "./expectation.ts";
import { PageReader, type ReadPage } from "./page-reader.ts";
import { parsePlace } from "./place.ts";
import type { Asked, StreamReader } from "./stream-reader.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** After so many pages it asks for as much as it may. */
const FEW_PAGES = 8;
const MOST_MESSAGES = 1000;
/** No page is cut that has less. */
const LEAST_FULL_UNITS = 512 * 1024;

/** Somebody reads pages. */
export interface PageClient {
  readonly name: string;
  readonly reader: StreamReader;
  readonly options: {
    readonly asked: Asked;
    readonly publishedBefore: number;
  };
  readonly closeCode: null;
}

/** Reads up to the end; `false`: there is no more to come, or nothing can be said. */
export async function readOn(world: World, pages: PageReader, limit: number): Promise<boolean> {
  for (let count = 0; ; count++) {
    const most = count < FEW_PAGES ? limit : MOST_MESSAGES;
    const isQuiet = world.isQuiet;
    const admission = subscriberAdmission("stream", pages.since, "skip", world.policy);
    const answer = await world.topic.page(admission, most);
    if (typeof answer !== "string") {
      const isOver = answer.refused === "topic-not-live" && world.policy.publishers === "exclusive";
      world.observer.note(`page refused: ${answer.refused}`);
      if (answer.refused === "unavailable" || (isOver && !(isQuiet && world.isQuiet))) return false;
      throw new Violation(`A page was refused: ${answer.refused} (18.4)`);
    }
    const isFirst = pages.reader.cursor === null;
    const page = pages.take(answer, most);
    world.observer.note(`page up to ${page.cursor}, more ${page.more}, end ${page.end}`);
    world.observer.sawCursor(page.cursor);
    if (isQuiet && world.isQuiet) checkAtRest(world, page, { isFirst, most, units: answer.length });
    if (page.end !== null) world.endings.check(page.end);
    if (!page.more) return page.end === null;
    if (page.messages.length === 0 && page.gap === null) {
      throw new Violation(`An empty page up to ${page.cursor} says that there is more (18.2)`);
    }
  }
}

/** Nobody publishes, so a page is all that there is, up to what it may have. */
function checkAtRest(
  world: World,
  { cursor, gap, more, end, messages }: ReadPage,
  {
    isFirst,
    most,
    units,
  }: { readonly isFirst: boolean; readonly most: number; readonly units: number },
): void {
  const log = world.ledger.epoch(world.quietEpoch ?? "");
  if (log === undefined) return;
  const place = parsePlace(cursor);
  const what = `A page up to ${cursor} of a log up to ${log.last}`;
  if (end !== null) throw new Violation(`${what} says that the topic ended: ${end} (18.2)`);
  if (gap !== null && !isFirst && !world.storage.hasFailedToRead)
    throw new Violation(`${what} has a gap (18.3)`);
  if (place.epoch !== log.epoch) throw new Violation(`${what} is of another epoch (9.9)`);
  if (more !== place.offset < log.last) throw new Violation(`${what} says more: ${more} (18.2)`);
  if (more && messages.length < most && units < LEAST_FULL_UNITS) {
    throw new Violation(`${what} has ${messages.length} messages of ${most} (18.2)`);
  }
}

/** How pages say that the topic ended, `null` where they do not. */
export async function readEnd(world: World): Promise<EndReason | null> {
  const admission = subscriberAdmission("stream", "earliest", "skip", world.policy);
  const answer = await world.topic.page(admission, MOST_MESSAGES);
  if (typeof answer !== "string") return null;
  const asked = { since: "earliest", gap: "skip", expectation: ANYTHING } as const;
  return new PageReader(asked, world.ledger).take(answer, MOST_MESSAGES).end;
}
