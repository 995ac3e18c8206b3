/** Reads which topics a token is for: a topic, or a prefix and `*`. */
import type { Result } from "../../core/result.ts";
import { ok } from "../../core/result.ts";
import { parseTopicName } from "../input/arguments.ts";

/** Reads a pattern. A `*` elsewhere than at the end is a character like any other. */
export function parseTopicPattern(text: string): Result<string> {
  if (text === "*") return ok(text);
  // A prefix ends where it likes: "." is none of the topics, ".*" are some.
  const sample = text.endsWith("*") ? `${text.slice(0, -1)}x` : text;
  const topic = parseTopicName(sample);
  return topic.ok ? ok(text) : topic;
}
