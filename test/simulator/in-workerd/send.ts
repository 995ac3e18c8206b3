/** What publishers send in a scenario. A publisher that is not there sends nothing. */
import { abortAllDurableObjects } from "cloudflare:test";
import { waitReally } from "../../support-in-workerd/real-time.ts";
import type { Action } from "./actions.ts";
import { within } from "./deadline.ts";
import { loseSockets } from "./intervene.ts";
import type { Publication } from "./publication.ts";
import { MAX_UNANSWERED, type PublisherConnection } from "./publisher-connection.ts";
import type { World } from "./world.ts";

/** An action of a kind. */
type Of<Type extends Action["type"]> = Extract<Action, { type: Type }>;

/** Large messages of a batch. A replay reads two such at a time, and the last of an odd number with what follows it. */
const FILL_MESSAGES = 30;

/** Publishes batches; on a raw socket each message is by itself. */
export function publish(world: World, { by, batches, isChained }: Of<"publish">): void {
  const publisher = world.publisher(by);
  if (publisher === null) return;
  world.quietEpoch = null;
  for (const batch of batches) {
    if (publisher.protocol === "stream") {
      const publication = world.publications.create(batch, publisher.owner);
      world.repeatable.push(publication);
      publisher.publish(publication, isChained);
    } else {
      for (let message = 0; message < batch.messages; message++) {
        publisher.publish(world.publications.create({ ...batch, messages: 1 }, null));
      }
    }
  }
}

/** Sends again what was sent. */
export function resend(world: World, { by, ago, times }: Of<"resend">): void {
  const publisher = world.publisher(by);
  const publication = repeatableBy(world, publisher).at(-1 - ago);
  if (publisher === null || publication === undefined) return;
  world.quietEpoch = null;
  for (let time = 0; time < times; time++) publisher.publish(publication);
}

/** Sends others under an id that was used. */
export function reuse(world: World, { by, ago, batch }: Of<"reuse">): void {
  const publisher = world.publisher(by);
  const original = repeatableBy(world, publisher).at(-1 - ago);
  if (publisher === null || original === undefined) return;
  world.quietEpoch = null;
  publisher.publish(world.publications.createRival(original, batch));
}

/** Sends many at once; who is cut off comes back, and sends again as many as may be unanswered. */
export async function flood(
  world: World,
  { by, count, cutAfterMs, isFollowed }: Of<"flood">,
): Promise<void> {
  const publisher = world.publisher(by);
  if (publisher === null || publisher.owner === null) return;
  const { owner } = publisher;
  world.quietEpoch = null;
  const sent = Array.from({ length: count }, () => {
    return world.publications.create({ messages: 1, kind: "text" }, owner);
  });
  for (const publication of sent) publisher.publish(publication);
  if (isFollowed) follow(world, publisher);
  if (cutAfterMs === null) return;
  await waitReally(cutAfterMs);
  await loseSockets(world, abortAllDurableObjects());
  // Its acks may have been lost, too.
  const successor = await world.connect("stream", true, owner);
  for (const publication of sent.slice(-MAX_UNANSWERED)) successor?.publish(publication);
}

/** Sends more than a message may have; on a raw socket it is the last. */
export function oversize(world: World, { by, isFollowed }: Of<"oversize">): void {
  const publisher = world.publisher(by);
  if (publisher === null) return;
  world.quietEpoch = null;
  publisher.publish(world.publications.createOversize(publisher.owner));
  if (publisher.protocol === "raw") world.happened("publisher-left");
  else if (isFollowed) follow(world, publisher);
}

/** Publishes so many large batches, one after the other: what comes at once is one to the hub. */
export async function fill(world: World, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++) {
    const publisher = await streamPublisher(world);
    if (publisher === null) return;
    world.quietEpoch = null;
    const content = { messages: FILL_MESSAGES, kind: "large" } as const;
    publisher.publish(world.publications.create(content, publisher.owner));
    await within(publisher.answered(), () => `${publisher.name} got no answer (10.8)`);
  }
}

/** A publisher of the stream, which comes if there is none; `null` where it cannot. */
export async function streamPublisher(world: World): Promise<PublisherConnection | null> {
  const publisher = world.publisher(0);
  return publisher?.protocol === "stream" ? publisher : world.connect("stream", true);
}

/** Sends one that is to be refused where the last one was. */
function follow(world: World, publisher: PublisherConnection): void {
  const follower = world.publications.create({ messages: 1, kind: "text" }, publisher.owner);
  publisher.publish(follower, true);
}

/** What a publisher may send again: its own. */
function repeatableBy(world: World, publisher: PublisherConnection | null): Publication[] {
  if (publisher?.protocol !== "stream") return [];
  return world.repeatable.filter(({ owner }) => owner === publisher.owner);
}
