/**
 * Base64 (RFC 4648, section 4), padded, nothing but its alphabet: the one form that the stream knows
 * (PROTOCOL.md, 10.2). It is the runtime's own where there is one, as in workerd. Node 24 and older browsers have
 * `btoa` and `atob` only: slower, and `atob` takes white space and missing padding.
 */

/** Writes bytes. */
export function encodeBase64(bytes: ArrayBuffer): string {
  const array = new Uint8Array(bytes);
  if (isBuiltIn()) return array.toBase64();
  // One by one: there may be more than a call takes arguments.
  return btoa(Array.from(array, (byte) => String.fromCharCode(byte)).join(""));
}

/** Reads bytes back; `null` for what is written in any other way. */
export function decodeBase64(text: string): ArrayBuffer | null {
  try {
    if (isBuiltIn()) {
      const { buffer } = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
      // White space, which it skips, is no part of base64 (RFC 4648, section 3.1).
      return text.length === Math.ceil(buffer.byteLength / 3) * 4 ? buffer : null;
    }
    const binary = atob(text);
    // What is written back in another way was not in this one.
    if (btoa(binary) !== text) return null;
    return Uint8Array.from(binary, (character) => character.charCodeAt(0)).buffer;
  } catch {
    // SyntaxError, or the InvalidCharacterError of `atob`: not base64.
    return null;
  }
}

function isBuiltIn(): boolean {
  return "fromBase64" in Uint8Array;
}
