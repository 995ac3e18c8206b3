/** What must hold at the end of a scenario, when everything is known that anybody ever saw. */
import { shortKey } from "./body.ts";
import { missedBetween } from "./ledger.ts";
import { formatPlace, range, type Place, type Step } from "./place.ts";
import { isSentOnce, type Publication } from "./publication.ts";
import type { PublisherConnection } from "./publisher-connection.ts";
import { mayBeGone } from "./retention.ts";
import { RawReader } from "./raw-reader.ts";
import type { StreamReader } from "./stream-reader.ts";
import type { SubscriberConnection } from "./subscriber-connection.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Checks everyone's view against the ledger. */
export function verify(world: World): void {
  for (const client of [...world.allSubscribers, ...world.pageClients]) {
    world.observer.watch(client.name, () => verifySubscriber(world, client));
  }
  for (const publisher of world.allPublishers) {
    world.observer.watch(publisher.name, () => verifyPublisher(world, publisher));
    world.observer.watch(publisher.name, () => verifyDisplacement(world, publisher));
  }
  if (world.policy.publishers === "exclusive") {
    world.observer.watch("the log", () => verifySuccession(world));
  }
  world.observer.check();
}

/** Whoever receives, over a socket or by pages. */
type Receiver = Pick<SubscriberConnection, "closeCode" | "name" | "reader"> & {
  readonly options: Pick<SubscriberConnection["options"], "asked" | "publishedBefore">;
};

function verifySubscriber(world: World, client: Receiver): void {
  const { reader, options, closeCode } = client;
  if (reader instanceof RawReader) {
    anyHolds(reader.follow(world.ledger), (way) => verifyView(world, client, way));
  } else {
    verifyView(world, client, reader);
    const missed = reader.crossings.find((crossing) => world.ledger.hasBetween(crossing));
    if (missed !== undefined) throw missedBetween(missed);
    if (reader.endReason !== null) world.endings.check(reader.endReason);
  }
  if (closeCode === 1000 && !world.endings.mayBe()) {
    throw new Violation("It was told that the topic ended, which it did not (5.2)");
  }
  if (closeCode === 4510 && (options.asked.gap === "skip" || options.asked.since === null)) {
    throw new Violation("It was closed for a gap without having asked for it (9.7)");
  }
}

/** Where somebody's messages stand. */
type View = Pick<StreamReader, "start"> & { readonly gaps: readonly Step[] };

/** Checks one way to see a subscriber's messages. */
function verifyView(world: World, client: Receiver, { start, gaps }: View): void {
  const { asked, publishedBefore } = client.options;
  for (const gap of gaps) verifyGap(world, client, gap);
  if (asked.since === null && start !== null) verifyPresent(world, start, publishedBefore);
}

/** At least one must hold; throws the first one's violation. */
function anyHolds<T>(all: readonly T[], check: (one: T) => void): void {
  const violations: unknown[] = [];
  for (const one of all) {
    try {
      check(one);
      return;
    } catch (error) {
      violations.push(error);
    }
  }
  if (violations.length > 0) throw violations[0];
}

/** What a gap skips within an epoch must have left the log. */
function verifyGap(world: World, client: Receiver, { from, to }: Step): void {
  const { asked } = client.options;
  if (asked.since === null) throw new Violation(`It skipped ${range({ from, to })} (6.3)`);
  if (asked.gap === "close" && client.reader instanceof RawReader) {
    throw new Violation(`It skipped ${range({ from, to })}, in spite of gap=close (9.7)`);
  }
  if (from.epoch !== to.epoch || world.storage.hasFailedToRead) return;
  const log = world.ledger.epoch(to.epoch);
  if (log !== undefined && !mayBeGone(log, to, world.view)) {
    throw new Violation(`It skipped ${range({ from, to })}, which the log still has (9.5)`);
  }
}

/** What was published after a handshake was answered must not lie before the place where it begins. */
function verifyPresent(world: World, start: Place, publishedBefore: number): void {
  for (const [offset, key] of world.ledger.epoch(start.epoch)?.keys ?? []) {
    const { publication } = world.publications.messageOf(key);
    if (offset <= start.offset && publication.number >= publishedBefore) {
      throw new Violation(
        `It began after ${formatPlace(start)} and missed "${shortKey(key)}" (6.3)`,
      );
    }
  }
}

/** A publisher's messages stand in its order, and none is left out before another one of its. */
function verifyPublisher(world: World, { sent }: PublisherConnection): void {
  let before: Place | null = null;
  let missing: string | null = null;
  for (const key of sent.filter(isComparable).flatMap(({ keys }) => keys)) {
    const place: Place | undefined = world.ledger.placesOf(key)[0];
    if (place === undefined) {
      missing ??= key;
      continue;
    }
    if (before?.epoch === place.epoch) {
      if (place.offset <= before.offset) {
        throw new Violation(`"${shortKey(key)}" stands before its predecessor (6.2)`);
      }
      if (missing !== null && isWhollyKnown(world, { from: before, to: place })) {
        throw new Violation(`"${shortKey(missing)}" was left out (6.3)`);
      }
    }
    before = place;
    missing = null;
  }
}

/** Who is displaced is so by somebody who may. */
function verifyDisplacement(
  { allPublishers, endings }: World,
  publisher: PublisherConnection,
): void {
  if (publisher.closeCode === 4504 && !endings.mayBe("deleted")) {
    throw new Violation("It was closed for a deletion, and nobody deleted (15.10)");
  }
  if (publisher.closeCode !== 4509) return;
  const isByRight = allPublishers.some(
    ({ number, takeover, bearer }) =>
      number > publisher.number && takeover && publisher.yieldsTo(bearer),
  );
  if (!isByRight) throw new Violation("It was displaced, and nobody might (13.13)");
}

function isComparable(publication: Publication): boolean {
  return isSentOnce(publication) && !publication.mayBeRefused;
}

function isWhollyKnown(world: World, { from, to }: Step): boolean {
  for (let offset = from.offset + 1; offset < to.offset; offset++) {
    if (world.ledger.keyAt({ epoch: to.epoch, offset }) === undefined) return false;
  }
  return true;
}

/** In an exclusive topic nothing of a publisher's stands after the first message of its successor. */
function verifySuccession(world: World): void {
  for (const { epoch, keys } of world.ledger.epochs) {
    let latest = -1;
    for (const offset of [...keys.keys()].toSorted((a, b) => a - b)) {
      const { publication } = world.publications.messageOf(keys.get(offset) ?? "");
      const [sender] = publication.senders;
      if (sender === undefined || !isSentOnce(publication)) continue;
      if (sender < latest) {
        const at = formatPlace({ epoch, offset });
        throw new Violation(`Publisher ${sender} was heard at ${at}, after ${latest} (5.5)`);
      }
      latest = sender;
    }
  }
}
