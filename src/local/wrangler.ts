/**
 * wrangler as a program that is asked something, and what its failures mean. Its environment has none of the hub's
 * secrets: it might take them for its own, or write them down.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** The program; tests name another, since they have no account. */
export const WRANGLER: string =
  process.env["WSPUBSUB_WRANGLER"] ??
  join(import.meta.dirname, "../../node_modules/wrangler/bin/wrangler.js");

const TIMEOUT_MS = 60_000;

/** What it says of a Worker that is not there. */
const NO_SUCH_WORKER =
  /\b(?:10007|10090)\b|does not exist on your account|Worker "[^"]*".* not found/;

/** What it answered: JSON, or words that say why there is none. */
export type WranglerAnswer =
  | { readonly type: "json"; readonly value: unknown }
  | { readonly type: "nothing" }
  | { readonly type: "unknown"; readonly reason: string };

/** Asks it what it answers in JSON; `nothing`: there is no such Worker. */
export function askWrangler(args: readonly string[]): Promise<WranglerAnswer> {
  const options = { env: wranglerEnv(), timeout: TIMEOUT_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, [WRANGLER, ...args], options, (error, stdout, stderr) => {
      const value = parseJson(stdout);
      if (value !== undefined) return resolve({ type: "json", value });
      const words = stripVTControlCharacters(`${stdout}\n${stderr}`);
      if (NO_SUCH_WORKER.test(words)) return resolve({ type: "nothing" });
      const reason =
        error?.killed === true ? `no answer within ${TIMEOUT_MS / 1000} seconds` : reasonOf(words);
      return resolve({ type: "unknown", reason });
    });
  });
}

/** Its environment: ours, without the hub's secrets. */
export function wranglerEnv(): NodeJS.ProcessEnv {
  const { DATABASE_URL: _url, ADMIN_TOKEN: _token, ...env } = process.env;
  return env;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError: it has failed, and says so in words.
    return undefined;
  }
}

/** The line that wrangler marks as the error, else that there is none. */
function reasonOf(words: string): string {
  const [, reason] = /\[ERROR\]\s*(.+)/.exec(words) ?? [];
  return reason?.trim() ?? "wrangler did not say";
}
