/**
 * How a key is presented beside the path (PROTOCOL.md, 12.1): a header, or a subprotocol for clients
 * that cannot set headers. One that cannot be read is refused like a wrong one, never overlooked.
 */
import { err, ok, type Result } from "../core/result.ts";

/** The key that a request presents, `null` when it presents none; the error means a malformed one. */
export function findCredential(
  authorization: string | null,
  encodedKeys: readonly string[],
): Result<string | null, "malformed"> {
  // RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). Another scheme
  // is meant for somebody else, such as a proxy on the way.
  if (authorization !== null && /^bearer\b/i.test(authorization)) {
    const [, key] = /^bearer +(\S+)$/i.exec(authorization.trim()) ?? [];
    return key === undefined ? err("malformed") : ok(key);
  }
  const [encoded, ...others] = encodedKeys;
  if (encoded === undefined) return ok(null);
  if (others.length > 0) return err("malformed");
  const key = decodeKey(encoded);
  return key === null || key === "" ? err("malformed") : ok(key);
}

function decodeKey(encoded: string): string | null {
  try {
    const bytes = Uint8Array.fromBase64(encoded, { alphabet: "base64url" });
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // SyntaxError: not base64url. TypeError: not UTF-8.
    return null;
  }
}
