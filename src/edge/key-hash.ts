/**
 * The only form in which a key leaves the request: SHA-256, as schema.sql stores it. Invariant: what is remembered in
 * plain is bounded, and has opened something.
 */
import QuickLRU from "quick-lru";

/** Keys; the library keeps up to twice as many. */
const MAX_KEYS = 500;

const encoder: TextEncoder = new TextEncoder();
/** Hashing takes as long as all else that is found out about a key. */
const hashes: QuickLRU<string, string> = new QuickLRU({ maxSize: MAX_KEYS });

/** The lower-case hex SHA-256 of a key's UTF-8 bytes. */
export async function hashKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(key));
  return new Uint8Array(digest).toHex();
}

/** The same of a key that has opened something of late, `null` of any other. */
export function recallHash(key: string): string | null {
  return hashes.get(key) ?? null;
}

/** Remembers the hash of a key that opens something. */
export function rememberHash(key: string, hash: string): void {
  if (!hashes.has(key)) hashes.set(key, hash);
}
