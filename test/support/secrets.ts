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
  const noted = new Set(readFileSync(file, "utf8").trimEnd().split("\n"));
  const secrets = [...noted].map((line) => {
    const [kind, secret] = JSON.parse(line) as [SecretKind, string];
    return { kind, forms: formsOf(secret) };
  });
  const found = new Set<string>();
  for (const line of output.replace(START_UP, "").split("\n")) {
    const hits = secrets.filter(({ forms }) => forms.some((form) => line.includes(form)));
    if (hits.length === 0) continue;
    const blanked = hits.flatMap(({ forms }) => forms).reduce(blank, line);
    found.add(`a ${[...new Set(hits.map(({ kind }) => kind))].join(", a ")} in: ${blanked}`);
  }
  if (found.size > 0) throw new Error(`The hub logged secrets:\n${[...found].join("\n")}`);
}

function blank(line: string, form: string): string {
  return line.replaceAll(form, "***");
}

/** Longest first, so that blanking one leaves nothing of another. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const encoded = encodeURIComponent(secret);
  const forms = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encoded,
    encoded.replace(/%../g, (code) => code.toLowerCase()),
    bytes.toString("base64url"),
    bytes.toString("base64"),
    bytes.toString("hex"),
  ];
  return [...new Set(forms)].toSorted((one, other) => other.length - one.length);
}
