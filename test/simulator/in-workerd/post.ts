/**
 * What is published by HTTP in a scenario, as the edge reads it and hands it over. A post is a publisher that comes,
 * publishes and leaves (PROTOCOL.md, section 17): each answer is held against what was sent before.
 */
import { formatAdmission } from "../../../src/core/admission.ts";
import { formatFinish, formatPublish } from "../../../src/core/client-frame.ts";
import type { PostAnswer } from "../../../src/core/post.ts";
import { parsePost, type PostedBody } from "../../../src/edge/parse-post.ts";
import { slugOf } from "../../support-in-workerd/post-slug.ts";
import { acknowledge } from "./acknowledge.ts";
import type { Form, Post, Repost } from "./actions.ts";
import { publisherAdmission } from "./admissions.ts";
import type { Body } from "./body.ts";
import { within } from "./deadline.ts";
import { formatPlace, type Place } from "./place.ts";
import { isSentOnce, type Publication } from "./publication.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** What a client of posts learns. */
export type Answer = PostAnswer | "unavailable";

const encoder: TextEncoder = new TextEncoder();

/** Posts so many, each with an id of its own, and each as often at once as it says. */
export async function post(world: World, { owner, batches, copies, form }: Post): Promise<void> {
  const publications = batches.map((batch) => world.publications.create(batch, owner));
  world.repeatable.push(...publications);
  // Among themselves they have no order.
  const sender = world.nextSender();
  const all = publications.flatMap((each) => Array.from({ length: copies }, () => each));
  await Promise.all(all.map((each) => send(world, { publication: each, sender, form })));
}

/** Posts one again, by whatever way it came first, or others under its id. */
export async function repost(world: World, { ago, rival, form }: Repost): Promise<void> {
  const original = world.repeatable.at(-1 - ago);
  if (original === undefined) return;
  const known = knownPlace(world, original);
  const publication = rival === null ? original : world.publications.createRival(original, rival);
  const answer = await send(world, { publication, sender: world.nextSender(), form });
  if (known === null || answer === "unavailable") return;
  const expected = rival === null ? formatPlace(known) : "id-reused";
  const got = answer.type === "published" ? answer.cursor : slugOf(answer);
  if (got === expected) return;
  throw new Violation(`"${original.id}", known at ${formatPlace(known)}, is ${got} (17.5)`);
}

/** Posts one, and judges the answer. */
export async function send(
  world: World,
  {
    publication,
    sender,
    form,
  }: { readonly publication: Publication; readonly sender: number; readonly form: Form },
): Promise<Answer> {
  const { owner, id, isFinish } = publication;
  const { publications, policy, observer } = world;
  publications.send(publication, sender);
  world.happened("publisher-left");
  const { messages } = readBody(publication, form);
  const admission = formatAdmission(publisherAdmission("stream", false, owner ?? 0, policy));
  const posted = { admission, id, messages, isFinish };
  const answer = await within(world.topic.post(posted), () => `A post got no answer (17.6)`);
  // It has left, and where there is no grace the topic is over.
  world.happened("publisher-left");
  observer.note(`post ${id} of ${owner} by ${sender}: ${JSON.stringify(answer)}`);
  if (answer === "unavailable") return answer;
  if (answer.type === "published") published(world, publication, answer);
  else refused(world, publication, slugOf(answer));
  return answer;
}

/** Where a publication is for certain while all is quiet, `null` where that is not known. */
function knownPlace(world: World, publication: Publication): Place | null {
  const { ledger, publications, quietEpoch } = world;
  if (quietEpoch === null || world.storage.arePending || world.background.length > 0) return null;
  if (publications.mayBeForgotten(publication)) return null;
  const [place, ...others] = ledger.placesOf(publication.keys.at(-1) ?? "");
  // Of one that came twice nobody knows which is meant.
  return place?.epoch === quietEpoch && others.length === 0 ? place : null;
}

function published(
  world: World,
  publication: Publication,
  { cursor, count }: Extract<PostAnswer, { type: "published" }>,
): void {
  if (count !== publication.keys.length) {
    throw new Violation(`${count} messages were posted, not ${publication.keys.length} (17.6)`);
  }
  const last = acknowledge(publication, cursor, world);
  const before = world.lastPost;
  if (!isSentOnce(publication) || publication.isFinish) return;
  // Who waited for the answer to one sends the next behind it.
  const isBehind = before !== null && before.sender < (publication.senders[0] ?? 0);
  if (isBehind && before.place.epoch === last.epoch && before.place.offset > last.offset - count) {
    throw new Violation(`A post is at ${cursor}, before one that came earlier (6.2)`);
  }
  world.lastPost = { place: last, sender: publication.senders[0] ?? 0 };
}

function refused(world: World, publication: Publication, slug: string): void {
  publication.mayBeRefused = true;
  if (!mayBeRefused(world, publication, slug)) {
    throw new Violation(`Post "${publication.id}" was refused: ${slug} (17.6)`);
  }
}

function mayBeRefused(world: World, publication: Publication, slug: string): boolean {
  const { policy, publications, allPublishers } = world;
  const isExclusive = policy.publishers === "exclusive";
  switch (slug) {
    case "publisher-conflict":
      return isExclusive && allPublishers.some(({ isGone }) => !isGone);
    case "id-reused":
      return publications.rivalsOf(publication).some(({ lastSend }) => lastSend > 0);
    // The domain died while it was asked of an owner's token, or much waits.
    case "topic-unavailable":
    case "topic-overloaded":
      return true;
    case "topic-shared":
      return publication.isFinish && !isExclusive;
    case "topic-not-live":
      return publication.isFinish && publication.keys.length === 0;
    default:
      return false;
  }
}

/** What the edge reads of a body of this form, or of a frame where the form cannot carry it. */
function readBody({ bodies, id, isFinish }: Publication, form: Form): PostedBody {
  const [only] = bodies;
  const isOne = bodies.length === 1 && only !== undefined;
  if (form === "plain" && isOne && typeof only !== "string") {
    return parsed(parsePost(new Uint8Array(only), "bytes", isFinish));
  }
  if (form === "plain" && isOne && typeof only === "string") {
    return parsed(parsePost(encoder.encode(only), "text", isFinish));
  }
  if (form === "lines" && bodies.length > 0 && bodies.every(isLine)) {
    return parsed(parsePost(encoder.encode(bodies.join("\n")), "lines", isFinish));
  }
  const frame = { id, messages: bodies };
  const text = isFinish ? formatFinish(frame) : formatPublish(frame);
  return parsed(parsePost(encoder.encode(text), "frame", false));
}

function isLine(body: Body): body is string {
  return typeof body === "string" && !body.includes("\n");
}

function parsed(body: ReturnType<typeof parsePost>): PostedBody {
  if (body.ok) return body.value;
  throw new Violation(`A body was not read: ${body.error.detail} (17.2)`);
}
