/**
 * Keys as the command line makes or takes them: the key itself for its owner, its hash and a hint for the store.
 */
import { createHash } from "node:crypto";
import { makeSecret } from "../make-secret.ts";

/** In characters, as schema.sql has it: of a shorter key the first four would give away too much. */
const LEAST_LENGTH_OF_A_HINT = 16;

/** A key that the store does not have yet. */
export interface NewKey {
  /** Stored nowhere. */
  readonly key: string;
  /** The lower-case hex SHA-256 of its UTF-8 bytes. */
  readonly hash: string;
  /** What schema.sql leaves of a key for people to recognize it by. */
  readonly hint: string;
}

/** Makes one. */
export function makeKey(): NewKey {
  return nameNewKey(makeSecret());
}

/** A key as the store takes it. */
export function nameNewKey(key: string): NewKey {
  const characters = Array.from(key);
  return {
    key,
    hash: createHash("sha256").update(key, "utf8").digest("hex"),
    hint: characters.length >= LEAST_LENGTH_OF_A_HINT ? `${characters.slice(0, 4).join("")}…` : "…",
  };
}
