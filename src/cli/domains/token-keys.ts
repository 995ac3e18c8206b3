/**
 * A domain's public keys for tokens: a JWK Set (RFC 7517) of P-256 and Ed25519 keys, read as the hub reads it. What is
 * stored may have been written by hand: it is shown whatever it is, and nothing private of it ever.
 */
import { importJWK } from "jose";
import * as v from "valibot";
import { nameJwk, readJwk, type PublicKey } from "../../core/jwk.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parseJson } from "../input/parse-json.ts";
import { formatDate } from "../output/format-date.ts";

/** What is stored, or is to be. */
export interface TokenKeys {
  readonly keys: readonly JwkJson[];
}

/** The public members of an entry; the rest is not shown, nor stored. */
export type JwkJson = Readonly<Record<string, unknown>>;

/** A stored set, as far as it can be told of. */
export interface StoredTokenKeys extends TokenKeys {
  /** What each entry is, for people. */
  readonly descriptions: readonly string[];
  /** Those that verify tokens. */
  readonly usable: readonly PublicKey[];
  /** Why the hub relies on none of it, `null` where it does. */
  readonly fault: string | null;
}

/** A set that may be stored. */
export interface ParsedTokenKeys extends TokenKeys {
  /** Sentences about entries that were left out. */
  readonly skipped: readonly string[];
}

/** All that the hub looks at, and nothing that could be private. */
const PUBLIC_MEMBERS = ["kty", "crv", "x", "y", "kid", "use", "key_ops", "alg", "exp"];

/** The furthest that a time of JavaScript's is from 1970. */
const MOST_TIME_MS = 8.64e15;

const SetSchema = v.object({ keys: v.array(v.unknown()) });
const FORM = 'Expected a JWK Set: {"keys": [{"kty": "EC", "crv": "P-256", "x": …, "y": …}]}';

/** Reads what `token_keys` holds, whatever that is. */
export function readStoredKeys(stored: unknown): StoredTokenKeys {
  const set = v.safeParse(SetSchema, stored);
  if (!set.success) {
    return { keys: [], descriptions: [], usable: [], fault: "it is no JWK Set" };
  }
  const entries = set.output.keys;
  const readings = entries.map(readJwk);
  const secret = readings.findIndex(({ type }) => type === "private");
  return {
    keys: entries.map(publicPart),
    descriptions: readings.map((reading, i) =>
      reading.type === "usable" ? describeKey(reading.key) : `${nameJwk(entries[i], i)} of no use`,
    ),
    usable: readings.flatMap((reading) => (reading.type === "usable" ? [reading.key] : [])),
    fault: secret === -1 ? null : `${nameJwk(entries[secret], secret)} is private`,
  };
}

/** Checks the text of a JWK Set; the error is a sentence that quotes nothing of it but names. */
export async function parseTokenKeys(text: string): Promise<Result<ParsedTokenKeys>> {
  const set = v.safeParse(SetSchema, parseJson(text));
  if (!set.success) return err(FORM);
  const entries = set.output.keys;
  if (entries.length === 0) return err('The JWK Set is empty: give a key, or "none"');
  const keys: JwkJson[] = [];
  const skipped: string[] = [];
  for (const [i, entry] of entries.entries()) {
    const reading = readJwk(entry);
    if (reading.type === "private") {
      return err(
        `Key ${i + 1} of the JWK Set is private (it has "d", or is an "oct"): ` +
          "give the public one, it alone is needed",
      );
    }
    const fault = reading.type === "usable" ? await findFault(reading.key) : reading.reason;
    if (fault === null) keys.push(publicPart(entry));
    else skipped.push(`${nameJwk(entry, i)} ${fault}.`);
  }
  if (keys.length === 0) return err(`The JWK Set has no key that is of use. ${skipped.join(" ")}`);
  const ids = keys.flatMap(({ kid }) => kid ?? []);
  if (new Set(ids).size < ids.length) return err('Two keys of the JWK Set have the same "kid"');
  return ok({ keys, skipped });
}

/** What only the platform's cryptography can tell. */
async function findFault({ alg, jwk }: PublicKey): Promise<string | null> {
  try {
    await importJWK({ ...jwk }, alg);
    return null;
  } catch {
    // A TypeError of jose's, a DataError of the platform's: no point of the curve.
    return 'is no key: "x" or "y" is wrong';
  }
}

function publicPart(entry: unknown): JwkJson {
  const members = typeof entry === "object" && entry !== null ? Object.entries(entry) : [];
  return Object.fromEntries(
    members.filter(([name, value]) => PUBLIC_MEMBERS.includes(name) && value !== null),
  );
}

/** The nearest date that JavaScript has (ECMA-262, time values): an `exp` may be any number. */
function dateAt(ms: number): Date {
  return new Date(Math.min(Math.max(ms, -MOST_TIME_MS), MOST_TIME_MS));
}

function describeKey({ alg, kid, expiresAtMs }: PublicKey): string {
  const end = expiresAtMs === null ? "" : `, until ${formatDate(dateAt(expiresAtMs))}`;
  return `${kid ?? "without kid"} (${alg}${end})`;
}
