/**
 * What stands on the line of `tokens mint` beside its options: the domain, and patterns that follow a --topic.
 */
import type { Result } from "../../core/result.ts";
import { parseDomainName } from "../input/arguments.ts";
import { UsageError } from "../usage-error.ts";
import { parseTopicPattern } from "./parse-topic-pattern.ts";

/** What they are. */
export interface MintOperands {
  readonly domain: string;
  readonly patterns: readonly string[];
}

/**
 * Tells them apart: `mint DOMAIN --topic A B`, and `mint --topic A B DOMAIN`. Throws a UsageError. The parser knows
 * their order, and not where among them an option stood; `line` are the arguments as they came.
 */
export function readOperands(operands: readonly string[], line: readonly string[]): MintOperands {
  const beforeTopic = line.slice(
    0,
    line.findIndex((word) => /^--topic(=|$)/.test(word)),
  );
  const at = beforeTopic.includes(operands[0] ?? "") ? 0 : operands.length - 1;
  return {
    domain: take("domain", parseDomainName(operands[at] ?? "")),
    patterns: operands.toSpliced(at, 1).map((text) => take("--topic", parseTopicPattern(text))),
  };
}

function take(what: string, { ...result }: Result<string>): string {
  if (result.ok) return result.value;
  throw new UsageError(`error: "${what}" is invalid. ${result.error}.\n(--help says more)`);
}
