/**
 * The columns of a domain's row that are plain values, as people write them: the fields of its policy, and the issuer of
 * its tokens. What a field may be is core's to say; here are only the words for it.
 */
import { columnOf, POLICY_FIELDS, POLICY_RULES } from "../../core/policy.ts";
import type { PolicyField, PolicyRule } from "../../core/policy.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parseInteger } from "../input/arguments.ts";

/** What a column can hold. */
export type PolicyValue = string | number | boolean | null;

/** A column, and how people write its value. */
export interface PolicyColumn extends Writing {
  readonly name: string;
  /** What a domain without a row has. */
  readonly byDefault: PolicyValue;
}

interface Writing {
  /** For `--help`: the form of a value, and what it is for. */
  readonly form: string;
  readonly purpose: string;
  readonly parse: (text: string) => Result<PolicyValue>;
}

const PURPOSES: Readonly<Record<PolicyField, string>> = {
  publishers: "how many may publish to a topic at once: one, or many",
  graceSeconds: "how many seconds an exclusive topic outlives its publisher",
  historyMessages: "how many messages the history keeps, 0: any number",
  historySeconds: "how many seconds the history keeps a message, 0: any",
  historyDelayMs: "how many milliseconds a message may wait to share a row of the history",
  subscribers: "what a subscriber needs: nothing, or a token or a key",
  tokenPublishers: "whether tokens may publish, if they say so",
  maxMessageBytes: "how many bytes a message may have; a larger one closes its publisher",
  maxBacklogBytes: "how many bytes may wait for a subscriber that does not read",
  pathKeys: "whether a key may stand in the path, where logs see it",
  messagesPerSecond: "how many messages one publisher may send",
  maxPublishers: "how many publishers a topic may have at a time",
  maxSubscribers: "how many subscribers a topic may have at a time",
  maxTopics: "how many topics of the domain may be live at a time",
};

/** It is no part of the policy: no topic hears of it. */
const TOKEN_ISSUER: PolicyColumn = {
  name: "token_issuer",
  byDefault: null,
  form: "issuer|none",
  purpose: 'what "iss" of a token must be',
  parse: (text) => {
    if (text === "none") return ok(null);
    return text === "" ? err('Give an issuer, or "none"') : ok(text);
  },
};

/** Every one of them, as `domains show` lists them. */
export const POLICY_COLUMNS: readonly PolicyColumn[] = [
  ...POLICY_FIELDS.map((field) => ({
    name: columnOf(field),
    byDefault: POLICY_RULES[field].byDefault,
    ...writingOf(POLICY_RULES[field], PURPOSES[field]),
  })),
  TOKEN_ISSUER,
];

function writingOf(rule: PolicyRule, purpose: string): Writing {
  switch (rule.kind) {
    case "choice":
      return { form: rule.words.join("|"), purpose, parse: (text) => parseWord(text, rule.words) };
    case "number": {
      const { least, most } = rule;
      return {
        form: "n",
        purpose: `${purpose}; ${least} to ${most}`,
        parse: (text) => parseInteger(text, least, most),
      };
    }
    case "limit":
      return {
        form: "n|none",
        purpose: `${purpose}; none: no limit`,
        parse: (text) => {
          if (text === "none") return ok(null);
          const count = parseInteger(text, rule.least, rule.most);
          return count.ok ? count : err(`${count.error}, or "none"`);
        },
      };
    case "switch":
      return {
        form: "true|false",
        purpose,
        parse: (text) => {
          const word = parseWord(text, ["true", "false"]);
          return word.ok ? ok(word.value === "true") : word;
        },
      };
  }
}

function parseWord(text: string, words: readonly string[]): Result<string> {
  return words.includes(text)
    ? ok(text)
    : err(`Give ${words.map((word) => `"${word}"`).join(" or ")}`);
}
