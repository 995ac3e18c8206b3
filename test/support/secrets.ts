/**
 * The secrets that integration tests give to hubs, gathered in a file over all test processes, so that every
 * hub's log can be searched for them when it ends (SECURITY.md, Keys in URLs).
 */
import { appendFileSync, readFileSync } from "node:fs";

/** The environment variable that names the file; without one nothing is gathered. */
export const SECRETS_FILE = "WSPUBSUB_TEST_SECRETS";

/** What `npm run dev` prints to be copied, up to its line `Ready`: the documented key is meant to be seen there. */
const START_UP = /^Publisher[^]*?^Ready.*$/m;

/** What a secret is called where it is found in the log, since it must not be shown. */
export type SecretKind = "key" | "admin token" | "signing secret" | "token" | "ticket";

/** Notes a secret; returns it. */
export function noteSecret(kind: SecretKind, secret: string): string {
  const file = process.env[SECRETS_FILE];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify([kind, secret])}\n`);
  return secret;
}

/** Throws when what a hub printed has any of the noted secrets, in whatever form: says which kind, and where. */
export function assertNoSecrets(output: string): void {
  const file = process.env[SECRETS_FILE];
  if (file === undefined) return;
  const log = output.replace(START_UP, "");
  const found = new Set<string>();
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const [kind, secret] = JSON.parse(line) as [SecretKind, string];
    for (const form of formsOf(secret)) {
      const at = log.indexOf(form);
      if (at < 0) continue;
      const start = log.lastIndexOf("\n", at) + 1;
      const [whole = ""] = log.slice(start).split("\n", 1);
      found.add(`a ${kind} in: ${whole.replaceAll(form, "***")}`);
    }
  }
  if (found.size > 0) throw new Error(`The hub logged secrets:\n${[...found].join("\n")}`);
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString("base64url"),
    bytes.toString("base64"),
    bytes.toString("hex"),
  ];
}
