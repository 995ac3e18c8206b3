/**
 * The columns of a domain's policy that are plain values: what each may be and what a domain without a row
 * has. The same rules stand in schema.sql as checks.
 */
import { err, ok, type Result } from "../../core/result.ts";
import { parseInteger } from "../input/arguments.ts";

/** What a column can hold. */
export type PolicyValue = string | number | boolean | null;

/** A column, and how people write its value. */
export interface PolicyColumn {
  readonly name: string;
  readonly fallback: PolicyValue;
  /** For `--help`: the form of a value, and what it is for. */
  readonly form: string;
  readonly purpose: string;
  readonly parse: (text: string) => Result<PolicyValue>;
}

/** Of Postgres's type integer. */
const MOST_INTEGER = 2_147_483_647;

/** Every one of them, as `domains show` lists them. */
export const POLICY_COLUMNS: readonly PolicyColumn[] = [
  oneOf("publishers", ["exclusive", "shared"], "who may send at once: one publisher, or many"),
  integer("grace_seconds", [0, 3600, 10], "how long an exclusive topic outlives its publisher"),
  integer("history_messages", [0, 100_000, 0], "how many messages a topic's log keeps"),
  integer("history_seconds", [0, 2_592_000, 0], "how long a topic's log keeps a message"),
  oneOf("subscribers", ["open", "token"], "who may read: anyone, or who has a token or a key"),
  integer("max_message_bytes", [1, 33_554_432, 1_048_576], "a larger message closes its publisher"),
  integer(
    "max_backlog_bytes",
    [1024, 67_108_864, 1_048_576],
    "what may wait for a subscriber that does not read",
  ),
  {
    name: "path_keys",
    fallback: true,
    form: "true|false",
    purpose: "whether a key may stand in the path, where logs see it",
    parse: (text) =>
      text === "true" || text === "false" ? ok(text === "true") : err('Give "true" or "false"'),
  },
  limit("messages_per_second", "of one publisher"),
  limit("max_publishers", "of one topic at a time"),
  limit("max_subscribers", "of one topic at a time"),
  integer("max_topics", [1, 10_000_000, 100_000], "how many topics may be live at a time"),
  {
    name: "token_issuer",
    fallback: null,
    form: "issuer|none",
    purpose: 'what "iss" of a token must be',
    parse: (text) => {
      if (text === "none") return ok(null);
      return text === "" ? err('Give an issuer, or "none"') : ok(text);
    },
  },
];

function oneOf(name: string, values: readonly [string, string], purpose: string): PolicyColumn {
  const [first, second] = values;
  return {
    name,
    fallback: first,
    form: values.join("|"),
    purpose,
    parse: (text) => (values.includes(text) ? ok(text) : err(`Give "${first}" or "${second}"`)),
  };
}

function integer(
  name: string,
  [least, most, fallback]: readonly [number, number, number],
  purpose: string,
): PolicyColumn {
  const parse = (text: string): Result<number> => parseInteger(text, least, most);
  return { name, fallback, form: "n", purpose: `${purpose}; ${least} to ${most}`, parse };
}

function limit(name: string, purpose: string): PolicyColumn {
  return {
    name,
    fallback: null,
    form: "n|none",
    purpose: `a limit ${purpose}; none: no limit`,
    parse: (text) => {
      if (text === "none") return ok(null);
      const count = parseInteger(text, 1, MOST_INTEGER);
      return count.ok ? count : err(`${count.error}, or "none"`);
    },
  };
}
