/**
 * A topic that ends at once, since its publisher says so or somebody deletes it (PROTOCOL.md, 10.14, 15.10, 17.14): all
 * who are there have all of it and hear why, a log that is kept is read with its end, and who says it again begins
 * nothing.
 */
import type { EndReason } from "../../../src/core/end-reason.ts";
import { slugOf } from "../../support-in-workerd/post-slug.ts";
import { READS_ALL, type Delete, type Finish } from "./actions.ts";
import { within } from "./deadline.ts";
import { expectAll } from "./end.ts";
import { evict, restart } from "./intervene.ts";
import type { EpochLog } from "./ledger.ts";
import { formatPlace, type Place } from "./place.ts";
import { send } from "./post.ts";
import type { Publication } from "./publication.ts";
import { readEnd } from "./page-walk.ts";
import { fill, streamPublisher } from "./send.ts";
import { settle } from "./settle.ts";
import type { SubscriberConnection } from "./subscriber-connection.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** A topic that is quiet, and those who are given what is in its log. */
interface Scene {
  readonly log: EpochLog;
  readonly crowd: readonly SubscriberConnection[];
}

/** A publisher finishes the topic, by a frame or by a post. */
export async function finish(world: World, action: Finish): Promise<void> {
  const { policy, publications } = world;
  const batch = { messages: action.messages, kind: "text" } as const;
  if (policy.publishers === "shared") {
    const refused = publications.createFinish(batch, 1);
    await send(world, { publication: refused, sender: world.nextSender(), form: "frame" });
    return;
  }
  const scene = await setScene(world, action);
  if (scene === null) return;
  const owner = action.by === "post" ? 0 : (world.publisher(0)?.owner ?? 0);
  const finishing = publications.createFinish(batch, owner);
  const head = { epoch: scene.log.epoch, offset: scene.log.last + action.messages };
  if (action.by === "frame") await finishByFrame(world, finishing, head);
  else if (!(await finishByPost(world, finishing, head))) return;
  await expectEnd(world, scene, { reason: "finished", head });
  for (let time = 0; time < action.repeats; time++) {
    if (time === 0 && action.between === "evict") await evict(world);
    if (time === 0 && action.between === "restart") await restart(world);
    if (time === 0 && action.by === "frame") await finishByFrame(world, finishing, head);
    else await postFinish(world, finishing, head);
    await expectVacant(world);
  }
}

/** Somebody deletes the topic. */
export async function deleteTopic(world: World, action: Delete): Promise<void> {
  if (!action.isQuiet) {
    world.endings.allow("deleted");
    const ended = await world.topic.end();
    world.observer.note(`deleted: ${ended}`);
    world.happened("topic-ended");
    return;
  }
  const scene = await setScene(world, action);
  if (scene === null) return;
  const { log } = scene;
  const publishers = world.allPublishers.filter(({ isOpen }) => isOpen);
  world.endings.allow("deleted");
  const ended = await world.topic.end();
  world.happened("topic-ended");
  if (ended !== true)
    throw new Violation(`There was something to delete, but it says ${ended} (15.10)`);
  for (const publisher of publishers) {
    await within(publisher.gone, () => `${publisher.name} was not told of the deletion (15.10)`);
    if (publisher.closeCode === 4504) continue;
    throw new Violation(`${publisher.name} was closed with ${publisher.closeCode} (15.10)`);
  }
  const head = { epoch: log.epoch, offset: log.last };
  await expectEnd(world, scene, { reason: "deleted", head });
  if ((await world.topic.end()) === true) throw new Violation("It was deleted twice (15.10)");
}

/** Brings the topic to rest, and lets the crowd in; `null` where nothing is known. */
async function setScene(world: World, action: Finish | Delete): Promise<Scene | null> {
  const { protocol, acks, count, batches } = action;
  await fill(world, batches);
  if (action.type === "finish") await streamPublisher(world);
  await settle(world, "stream");
  const log = world.quietEpoch === null ? undefined : world.ledger.epoch(world.quietEpoch);
  if (log === undefined || world.publisher(0) === null) return null;
  if (action.type === "finish" && world.publisher(0)?.protocol !== "stream") return null;
  const crowd = await world.subscribe({ ...READS_ALL, protocol, acks, count });
  return { log, crowd };
}

async function finishByFrame(world: World, finishing: Publication, head: Place): Promise<void> {
  const isAgain = finishing.senders.length > 0;
  const publisher = isAgain
    ? await world.connect("stream", true, finishing.owner ?? 0)
    : world.publisher(0);
  if (publisher === null) throw new Violation("Nobody may publish to a topic that is over (5.2)");
  world.endings.allow("finished");
  publisher.publish(finishing);
  await within(publisher.gone, () => `${publisher.name} did not finish (10.14)`);
  world.happened("topic-ended");
  if (publisher.closeCode !== 1000 || !publisher.hasAcknowledged(finishing)) {
    throw new Violation(
      `${publisher.name} finished, and was closed with ${publisher.closeCode} (10.14)`,
    );
  }
  if (finishing.keys.length > 0) expectAt(world, finishing, head);
}

/** While a publisher is there a post cannot; whether it could when that had left. */
async function finishByPost(world: World, finishing: Publication, head: Place): Promise<boolean> {
  const early = await send(world, {
    publication: finishing,
    sender: world.nextSender(),
    form: "frame",
  });
  if (
    early === "unavailable" ||
    early.type === "published" ||
    slugOf(early) !== "publisher-conflict"
  ) {
    throw new Violation(
      `A post finished a topic whose publisher is there: ${JSON.stringify(early)} (17.7)`,
    );
  }
  const { graceSeconds } = world.policy;
  if (graceSeconds === 0) return false;
  for (const publisher of world.allPublishers) {
    publisher.leave();
    await within(publisher.gone, () => `${publisher.name} got no answer to its close (8.2)`);
  }
  await postFinish(world, finishing, head);
  return true;
}

async function postFinish(world: World, finishing: Publication, head: Place): Promise<void> {
  world.endings.allow("finished");
  const answer = await send(world, {
    publication: finishing,
    sender: world.nextSender(),
    form: "plain",
  });
  world.happened("topic-ended");
  if (
    answer !== "unavailable" &&
    answer.type === "published" &&
    answer.cursor === formatPlace(head)
  )
    return;
  throw new Violation(
    `A finish at ${formatPlace(head)} was answered: ${JSON.stringify(answer)} (17.14)`,
  );
}

function expectAt(world: World, { keys }: Publication, head: Place): void {
  const [place] = world.ledger.placesOf(keys.at(-1) ?? "");
  if (place?.epoch === head.epoch && place.offset === head.offset) return;
  throw new Violation(`The last message is not at ${formatPlace(head)} (10.14)`);
}

/** It is over, and everybody knows. */
async function expectEnd(
  world: World,
  { crowd }: Scene,
  { reason, head }: { readonly reason: EndReason; readonly head: Place },
): Promise<void> {
  const last = world.ledger.keyAt(head);
  for (const client of crowd) {
    await within(client.gone, () => `${client.name} was not told that the topic ended (10.14)`);
    expectAll(client, { head, last, reason });
  }
  await expectVacant(world);
  const { publishers, historySeconds } = world.policy;
  if (publishers === "shared") return;
  const [late] = await world.subscribe(READS_ALL);
  if (historySeconds === 0) {
    if (late !== undefined) throw new Violation("What is not kept was read (9.11)");
    return;
  }
  if (late === undefined) throw new Violation("What is kept of the topic was not read (9.11)");
  await within(late.gone, () => `${late.name} was not told that the topic is over (9.11)`);
  expectAll(late, { head, last, reason });
  const end = await readEnd(world);
  if (end !== reason)
    throw new Violation(`Pages say that it ended as ${end}, not ${reason} (18.6)`);
}

async function expectVacant(world: World): Promise<void> {
  const phase = (await world.topic.describe())?.phase;
  if (phase !== "vacant") throw new Violation(`A topic that is over is ${phase} (10.14)`);
}
