/** JSON that may be anything, and may be secret. */

/** What a text says, `null` where it is not JSON: the error of `JSON.parse` would quote it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError.
    return null;
  }
}
