/**
 * A post: a publish by HTTP, as the edge hands it to a topic by RPC, and the topic's answer. During a deploy the two
 * may run different versions, so each reads what the other has written. Knows no HTTP.
 */
import * as v from "valibot";
import { AnswerSchema, type Answer } from "./admission.ts";
import type { Message } from "./message.ts";
import { PROBLEMS, type Problem, type ProblemSlug } from "./problem.ts";

/** What is posted. */
export interface Post {
  /** The client that posts, as `formatAdmission` writes it. */
  readonly admission: string;
  /** The object's name, which it may not know (own-address.ts). */
  readonly name: string;
  /** The same for each try. */
  readonly id: string;
  /** The id of the publish that it must not overtake. */
  readonly after?: string | undefined;
  readonly messages: readonly PackedMessage[];
  /** Nothing follows: the topic ends behind the messages, or at once where there are none. */
  readonly isFinish?: boolean | undefined;
}

/** A message on its way: a text that would be too large as a text travels in UTF-8. */
export type PackedMessage = Message | { readonly utf8: Uint8Array };

/** What becomes of a post. */
export type PostAnswer =
  | {
      readonly type: "published";
      readonly cursor: string;
      readonly count: number;
      /** How many were there to hear it. */
      readonly subscribers: number;
    }
  /** What a publisher on a socket would get an `error` frame for. */
  | { readonly type: "unpublished"; readonly problem: Problem }
  | Answer;

/**
 * Units of text that are sent as they are. A call takes 32 MiB of serialized bytes, and a text with one character beyond
 * Latin-1 takes two bytes a unit (measured); in UTF-8 no post has more than its body's 16 MiB.
 */
const MAX_TEXT_UNITS = 8 * 1024 * 1024;

const decoder: TextDecoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

const PostAnswerSchema: v.GenericSchema<unknown, PostAnswer> = v.union([
  v.object({
    type: v.literal("published"),
    cursor: v.string(),
    count: v.number(),
    subscribers: v.number(),
  }),
  v.object({
    type: v.literal("unpublished"),
    problem: v.object({
      slug: v.pipe(v.string(), v.guard(isSlug)),
      detail: v.string(),
      retryAfter: v.exactOptional(v.number()),
    }),
  }),
  AnswerSchema,
]);

/** Makes messages small enough for a call. */
export function packMessages(messages: readonly Message[]): readonly PackedMessage[] {
  let units = 0;
  for (const message of messages) units += typeof message === "string" ? message.length : 0;
  if (units <= MAX_TEXT_UNITS) return messages;
  const encoder = new TextEncoder();
  return messages.map((message) =>
    typeof message === "string" ? { utf8: encoder.encode(message) } : message,
  );
}

/** Makes them what they were. */
export function unpackMessages(packed: readonly PackedMessage[]): readonly Message[] {
  return packed.map((message) =>
    typeof message === "object" && "utf8" in message ? decoder.decode(message.utf8) : message,
  );
}

/** Reads a topic's answer. One that this version does not know says no more than that nothing is known. */
export function parsePostAnswer(answer: unknown): PostAnswer {
  const parsed = v.safeParse(PostAnswerSchema, answer);
  return parsed.success ? parsed.output : { type: "refused", slug: "topic-unavailable" };
}

function isSlug(text: string): text is ProblemSlug {
  return Object.hasOwn(PROBLEMS, text);
}
