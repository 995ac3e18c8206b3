/**
 * The grammar of `.dev.vars`: what wrangler reads in it, which is dotenv's, and nothing else. Invariant: the two read
 * every text alike (test/integration/dev-vars.test.ts).
 */

/**
 * A setting: `NAME=value` or `NAME: value`, `export` before it or not. A value in quotes may have several lines, and
 * one without ends at a `#`.
 */
const SETTING =
  /^\s*(?:export\s+)?(?<name>[\w.-]+)(?:\s*=\s*?|:\s+?)(?<value>\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;

/** A value in quotes. */
const QUOTED = /^(['"`])([^]*)\1$/gm;

/** Its settings by name; of several of a name the last. */
export function parseDevVars(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const { groups } of unifyLineEnds(text).matchAll(SETTING)) {
    settings.set(groups?.["name"] ?? "", unquote((groups?.["value"] ?? "").trim()));
  }
  return settings;
}

/** The number of the line that names a setting, and is no comment; `null` where none does. */
export function findLineThatNames(name: string, text: string): number | null {
  // Before any sign that would make it a value or a remark.
  const naming = new RegExp(`^[^=:#]*(?<![\\w.-])${name}(?![\\w.-])`, "i");
  const index = unifyLineEnds(text)
    .split("\n")
    .findIndex((line) => naming.test(line));
  return index === -1 ? null : index + 1;
}

function unifyLineEnds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

function unquote(value: string): string {
  const bare = value.replace(QUOTED, "$2");
  // Also where the closing quote is missing.
  return value.startsWith('"') ? bare.replaceAll("\\n", "\n").replaceAll("\\r", "\r") : bare;
}
