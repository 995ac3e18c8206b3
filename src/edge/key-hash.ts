/**
 * The only form in which a key leaves the request: SHA-256, as schema.sql stores it.
 */

const encoder: TextEncoder = new TextEncoder();

/** The lower-case hex SHA-256 of a key's UTF-8 bytes. */
export async function hashKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(key));
  return new Uint8Array(digest).toHex();
}
