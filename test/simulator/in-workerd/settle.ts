/**
 * Waits until all that is under way has arrived, by events: those who left are gone, and a marker is
 * published, which every subscriber must see unless it is closed. Then checks what must hold at rest.
 */
import type { Protocol } from "./actions.ts";
import { within } from "./deadline.ts";
import { formatPlace, type Place } from "./place.ts";
import type { PublisherConnection } from "./publisher-connection.ts";
import type { SubscriberConnection } from "./subscriber-connection.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** How often publishers may be lost before the marker is in the log. */
const ATTEMPTS = 10;

/** Brings the world to rest. */
export async function settle(world: World, protocol: Protocol): Promise<void> {
  await Promise.all(world.background.splice(0));
  if (world.storage.arePending) {
    world.storage.mend();
    world.happened("sockets-lost");
  }
  for (const client of world.allSubscribers) client.read();
  for (const client of [...world.allPublishers, ...world.allSubscribers]) {
    if (client.isOpen) continue;
    await within(client.gone, () => `${client.name} got no answer to its close (8.2)`);
  }
  await checkPlaces(world);
  const backlogs = new Map(
    world.allSubscribers.map((client) => [client, client.unacknowledged ?? 0]),
  );
  const place = await publishMarker(world, protocol);
  for (const publisher of world.allPublishers) {
    await within(publisher.answered(), () => `${publisher.name} got no answer (10.8)`);
  }
  // What they waited for has come.
  for (const poll of world.polls.splice(0)) {
    if (place === null) poll.stop();
    await within(poll.done, () => "A poll was not answered, and something came (18.5)");
  }
  for (const [client, backlog] of backlogs) checkBacklog(world, client, backlog);
  const key = place === null ? undefined : world.ledger.keyAt(place);
  for (const client of world.allSubscribers) {
    // Who has not seen it is held back in the past, of which nothing counts.
    if (key !== undefined && client.reader.seen.has(key)) client.countBacklog();
  }
  if (place !== null) {
    world.ledger.settle();
    world.publications.haveArrived(world.clock.nowMs);
  }
  world.quietSeconds = 0;
  world.quietEpoch = checkHead(world, place);
}

/**
 * Publishes a marker when nothing else can follow it, and waits until all subscribers that are there have
 * seen it: the head of the log is what a subscriber sees even if the log was trimmed while it caught up.
 */
async function publishMarker(world: World, protocol: Protocol): Promise<Place | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (world.publisher(0) === null) await world.connect(protocol, true);
    await world.watch();
    const publisher = (await flush(world)) ? world.publisher(0) : null;
    if (publisher === null) continue;
    const key = await mark(world, publisher);
    const arrived = Promise.all([
      within(publisher.answered(), () => `${publisher.name} got no answer (10.8)`),
      ...world.allSubscribers.map((client) => {
        return within(client.reached(key), () => `${client.name} did not see "${key}" (6.3)`);
      }),
    ]);
    await Promise.race([arrived, publisher.gone, world.observer.failure]);
    world.observer.check();
    if (publisher.isOpen) return world.ledger.placesOf(key).at(-1) ?? null;
  }
  throw new Violation(`${ATTEMPTS} times publishers were lost`);
}

/**
 * Makes sure that all that publishers sent is in the log: a subscriber of the present sees a marker of
 * each. False if it was lost, and nothing is known.
 */
async function flush(world: World): Promise<boolean> {
  const publishers = world.allPublishers.filter(({ isOpen }) => isOpen);
  if (publishers.length === 1) return true;
  const bystander = await world.employBystander();
  if (bystander === null) return false;
  for (const publisher of publishers) {
    const seen = bystander.reached(await mark(world, publisher));
    const what = (): string => `${publisher.name} was neither heard nor closed (6.3)`;
    await within(Promise.race([seen, publisher.gone, world.observer.failure]), what);
  }
  const isSure = bystander.isOpen;
  bystander.leave();
  return isSure;
}

/** Publishes a marker once nothing of the publisher's waits that could have it refused; returns its key. */
async function mark(world: World, publisher: PublisherConnection): Promise<string> {
  await within(publisher.answered(), () => `${publisher.name} got no answer (10.8)`);
  const marker = world.publications.create({ messages: 1, kind: "text" }, publisher.owner);
  publisher.publish(marker);
  const key = marker.keys.join("");
  world.observer.note(`marker "${key}" by ${publisher.name}`);
  return key;
}

/** Nobody has a place who has left, or whose page has come. */
async function checkPlaces({ allSubscribers, polls, topic }: World): Promise<void> {
  for (const poll of polls) await poll.freed();
  const most = allSubscribers.filter(({ isOpen }) => isOpen).length + polls.length;
  const { subscribers } = (await topic.describe()) ?? { subscribers: 0 };
  if (subscribers > most) {
    throw new Violation(`${subscribers} subscribers are there, and ${most} came and stayed (18.5)`);
  }
}

function checkBacklog(world: World, client: SubscriberConnection, backlog: number): void {
  const { maxBacklogBytes } = world.policy;
  if (client.isOpen && backlog > maxBacklogBytes) {
    throw new Violation(`${client.name} is ${backlog} behind and was not closed (11.3)`);
  }
}

/** The marker is the last message of the last epoch; returns the epoch if it is known. */
function checkHead(world: World, place: Place | null): string | null {
  const log = world.ledger.epochs.at(-1);
  if (log === undefined || place === null) return null;
  if (place.epoch === log.epoch && place.offset === log.last) return log.epoch;
  const head = formatPlace({ epoch: log.epoch, offset: log.last });
  throw new Violation(
    `The marker is at ${formatPlace(place)}, but the log goes on to ${head} (9.5)`,
  );
}
