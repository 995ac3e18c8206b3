/**
 * What a command presents to the hub: a key or a token. It comes from a file, stdin, the environment or `.dev.vars`;
 * as an argument only where somebody insists, since every user of the machine can list arguments. Never echoes it.
 */
import type { Command } from "commander";
import { UserError } from "../../local/fail.ts";
import { findSetting } from "../../local/find-setting.ts";
import { readStdin, readTextFile } from "../../local/read-text-file.ts";
import { SHARED_KEY, TEST_KEY } from "../../local/test-key.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

/** A key or a token. */
export interface Credential {
  readonly type: "key" | "token";
  readonly value: string;
  /** Where it is from, for messages about it. */
  readonly place: string;
}

/** The options of commands that present one. */
export interface CredentialOptions {
  readonly key?: string;
  readonly keyFile?: string;
  readonly token?: string;
  readonly tokenFile?: string;
}

const STDIN = "-";

/** What the help of such a command says. */
export const CREDENTIAL_HELP = `
A key or a token comes from WSPUBSUB_KEY or WSPUBSUB_TOKEN, in the environment
or in .dev.vars, or from one of the options. Other users of the machine see what
is given as --key or --token; they do not see what is in a file.`;

/** Adds the options. */
export function addCredentialOptions(command: Command): Command {
  return command
    .option("--key-file <path>", "a file with a key of the domain; - is stdin")
    .option("--token-file <path>", "a file with a token; - is stdin")
    .option("--key <key>", "a key, for others to see")
    .option("--token <token>", "a token, for others to see");
}

/** Finds what is to be presented, `null` for nothing; `isStdinFree` says that no messages come from stdin. */
export async function findCredential(
  session: Session,
  options: CredentialOptions,
  isStdinFree: boolean,
): Promise<Credential | null> {
  return (await findGivenCredential(session, options, isStdinFree)) ?? findSet();
}

/** The same of the options alone. */
export async function findGivenCredential(
  session: Session,
  { key, keyFile, token, tokenFile }: CredentialOptions,
  isStdinFree: boolean,
): Promise<Credential | null> {
  const given = [key, keyFile, token, tokenFile].filter((option) => option !== undefined);
  if (given.length > 1) {
    throw new UsageError("Give one of --key-file, --token-file, --key and --token");
  }
  if (keyFile !== undefined) return readCredential("key", keyFile, isStdinFree);
  if (tokenFile !== undefined) return readCredential("token", tokenFile, isStdinFree);
  if (key !== undefined) return warnOf(session, "key", key);
  return token === undefined ? null : warnOf(session, "token", token);
}

/** The key that npm run dev gives a domain, where the hub is that one and nothing else is set. */
export function findSeededKey(session: Session, domain: string): Credential | null {
  const seeded = [TEST_KEY, SHARED_KEY].find((each) => each.domain === domain);
  if (seeded === undefined || !session.hasTestKeys) return null;
  session.note(`Using the test key of "${domain}", which npm run dev makes.`);
  return { type: "key", value: seeded.key, place: "npm run dev" };
}

/** As the client library takes it. */
export function linkOptions(credential: Credential | null): { key?: string; token?: string } {
  return credential === null ? {} : { [credential.type]: credential.value };
}

/** Whether plain HTTP takes it. */
export function fitsHeader({ value }: Credential): boolean {
  return /^[!-~]+$/.test(value);
}

/** As plain HTTP takes it; throws a UserError for a key that no header can hold. */
export function bearerOf(credential: Credential | null): Record<string, string> {
  if (credential === null) return {};
  // The error of `fetch` would quote it.
  if (!fitsHeader(credential)) {
    throw new UserError(
      `The ${credential.type} cannot stand in a header (from ${credential.place})`,
    );
  }
  return { Authorization: `Bearer ${credential.value}` };
}

async function readCredential(
  type: Credential["type"],
  file: string,
  isStdinFree: boolean,
): Promise<Credential> {
  if (file === STDIN && !isStdinFree) {
    throw new UsageError(
      `stdin has the messages: give the ${type} in a file, or messages as arguments`,
    );
  }
  const text = file === STDIN ? await readStdin() : readTextFile(file);
  const place = file === STDIN ? "stdin" : file;
  return check({ type, value: text.replace(/\r?\n$/, ""), place });
}

function warnOf(session: Session, type: Credential["type"], value: string): Credential {
  session.note(
    `Other users of this machine can see --${type} while this runs: use --${type}-file or WSPUBSUB_${type.toUpperCase()}.`,
  );
  return check({ type, value, place: `--${type}` });
}

function findSet(): Credential | null {
  const key = findSetting("WSPUBSUB_KEY", "the environment");
  const token = findSetting("WSPUBSUB_TOKEN", "the environment");
  if (key !== null && token !== null) {
    throw new UserError("WSPUBSUB_KEY and WSPUBSUB_TOKEN are both set: set one of them");
  }
  if (key !== null) return check({ type: "key", value: key.value, place: "WSPUBSUB_KEY" });
  return token && check({ type: "token", value: token.value, place: "WSPUBSUB_TOKEN" });
}

/** What the hub would refuse without a word about where it came from. */
function check(credential: Credential): Credential {
  const { type, value, place } = credential;
  const most = MOST_LENGTH[type];
  if (value === "") throw new UserError(`The ${type} is empty (from ${place})`);
  if (/[\p{Cc}\p{Cs}]/u.test(value)) {
    throw new UserError(
      `The ${type} has more than one line, or a control character (from ${place})`,
    );
  }
  if (value.length > most) {
    throw new UserError(`The ${type} has more than ${most} characters (from ${place})`);
  }
  return credential;
}

/** UTF-16 units (PROTOCOL.md, 4.5, 13.2). */
const MOST_LENGTH = { key: 256, token: 8192 } as const;
