/**
 * What a text says of itself before anybody verifies it: whether it is a token, and by which key it claims to be signed
 * (RFC 7515, section 4). Invariant: nothing here makes a token good: its maker wrote it.
 */

/** The members of a token's header that somebody looks at. */
export interface TokenHeader {
  readonly alg?: unknown;
  readonly kid?: unknown;
  readonly b64?: unknown;
}

/**
 * Whether a text is a token: three parts in base64url, of which the first is a JSON object with an algorithm. No
 * key of this hub's making is.
 */
export function isToken(text: string): boolean {
  return readTokenHeader(text) !== null;
}

/** The header of a token, `null` for any other text. */
export function readTokenHeader(text: string): TokenHeader | null {
  // Before anything is decoded: a decoder of base64 may overlook white space and padding.
  const [, encoded] = /^([\w-]+)\.[\w-]*\.[\w-]*$/.exec(text) ?? [];
  const header = encoded === undefined ? null : parseHeader(encoded);
  return header !== null && Object.hasOwn(header, "alg") ? header : null;
}

function parseHeader(encoded: string): object | null {
  try {
    const bytes = Uint8Array.fromBase64(encoded, { alphabet: "base64url" });
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const header: unknown = JSON.parse(text);
    return typeof header === "object" && !Array.isArray(header) ? header : null;
  } catch {
    // SyntaxError: neither base64url nor JSON. TypeError: not UTF-8. RangeError: nested too deep.
    return null;
  }
}
