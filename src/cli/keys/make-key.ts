/**
 * Keys as the command line makes them: the key itself for its owner, its hash and a hint for the store.
 */
import { createHash } from "node:crypto";
import { makeSecret } from "../make-secret.ts";

/** A key that was just made. */
export interface NewKey {
  /** Shown once, stored nowhere. */
  readonly key: string;
  /** The lower-case hex SHA-256 of its UTF-8 bytes. */
  readonly hash: string;
  /** What schema.sql leaves of a key for people to recognize it by. */
  readonly hint: string;
}

/** Makes one. */
export function makeKey(): NewKey {
  const key = makeSecret();
  return {
    key,
    hash: createHash("sha256").update(key, "utf8").digest("hex"),
    hint: `${key.slice(0, 4)}…`,
  };
}
