/**
 * What is wrong with a file for wrangler's `--secrets-file`, before wrangler sends it: whether the hub could use what is
 * in it. Never echoes a value.
 */
import { readFileSync, statSync } from "node:fs";
import { parseEnv } from "node:util";
import { parseAdminToken } from "../core/config.ts";
import { parseDatabaseUrl } from "../core/database-url.ts";
import { checkHubDatabase } from "./check-hub-database.ts";
import { UserError } from "./fail.ts";

/** Group and others. */
const OTHERS = 0o077;

/** The secrets that the hub has, in the order in which they are spoken of. */
const NAMES = ["DATABASE_URL", "ADMIN_TOKEN"] as const;

/** Throws a UserError for a secret that the hub could not use; returns what else should be known, as sentences. */
export async function checkSecretsFile(file: string): Promise<readonly string[]> {
  const { secrets, isDotenv } = readSecrets(file);
  const { DATABASE_URL, ADMIN_TOKEN } = secrets;
  if (DATABASE_URL !== undefined) {
    const database = parseDatabaseUrl(DATABASE_URL);
    const fault = database.ok ? await checkHubDatabase(database.value) : database.error;
    if (fault !== null) throw new UserError(`${fault}\n(from ${file})`);
  }
  const token = parseAdminToken({ ADMIN_TOKEN });
  if (ADMIN_TOKEN !== undefined && !token.ok) throw new UserError(`${token.error} (from ${file})`);
  return [
    ...NAMES.filter((name) => secrets[name] === undefined).map(
      (name) => `${file} has no ${name}: the hub keeps the one that it has, if it has one`,
    ),
    ...NAMES.filter((name) => isDotenv && process.env[name] !== undefined).map(
      (name) => `wrangler takes ${name} from the environment, which beats ${file}`,
    ),
    ...NAMES.filter((name) => isDotenv && secrets[name]?.includes("$") === true).map(
      (name) => `${name} in ${file} has a $, which wrangler expands: write the file as JSON`,
    ),
    ...describeMode(file),
  ];
}

/** As wrangler reads it: JSON, else lines of the form NAME=VALUE, where the environment beats the file. */
function readSecrets(file: string): {
  readonly secrets: Readonly<Partial<Record<string, string>>>;
  readonly isDotenv: boolean;
} {
  const text = readText(file);
  const json = parseJson(text);
  if (json === undefined) {
    const found = parseEnv(text);
    if (Object.keys(found).length === 0) throw new UserError(`${file} ${RIGHT_FORM}`);
    const inEnvironment = Object.keys(found).map((name) => [name, process.env[name]] as const);
    const beating = inEnvironment.filter(([, value]) => value !== undefined);
    return { secrets: { ...found, ...Object.fromEntries(beating) }, isDotenv: true };
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UserError(`${file} ${RIGHT_FORM}`);
  }
  const secrets: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    // As wrangler has it, null is none.
    if (value === null) continue;
    if (typeof value !== "string") throw new UserError(`${name} in ${file} must be a text`);
    secrets[name] = value;
  }
  return { secrets, isDotenv: false };
}

const RIGHT_FORM =
  'must be JSON such as {"DATABASE_URL": "…", "ADMIN_TOKEN": "…"}, or lines such as NAME=VALUE';

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    // ENOENT, EACCES, EISDIR and their like.
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new UserError(`Cannot read ${file}: ${String(cause.code)}`, { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError: the other form.
    return undefined;
  }
}

function describeMode(file: string): readonly string[] {
  const { mode } = statSync(file);
  if (process.platform === "win32" || (mode & OTHERS) === 0) return [];
  const shown = (mode & 0o777).toString(8);
  return [
    `${file} can be read by others on this machine (mode ${shown}): chmod 600, and delete it`,
  ];
}
