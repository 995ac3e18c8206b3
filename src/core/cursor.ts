/**
 * Cursors: a place in a topic's log, as clients carry it (PROTOCOL.md, 9.1). Opaque to them; here
 * `EPOCH-OFFSET`. Offset 0 is the place before the first message of an epoch.
 */

/** "Up to and including this message." */
export interface Cursor {
  /** The log's incarnation: 12 characters of base 36. */
  readonly epoch: string;
  readonly offset: number;
}

/** At most 13 digits: more messages than a topic has in a million years at a thousand a second. */
const CURSOR = /^([0-9a-z]{12})-(0|[1-9]\d{0,12})$/;

/** Writes a cursor; URL-safe. */
export function formatCursor({ epoch, offset }: Cursor): string {
  return `${epoch}-${offset}`;
}

/** Reads a cursor; `null` for any other text. */
export function parseCursor(text: string): Cursor | null {
  const [, epoch, offset] = CURSOR.exec(text) ?? [];
  return epoch === undefined ? null : { epoch, offset: Number(offset) };
}

/** Makes an epoch of 12 random bytes. */
export function epochOf(random: Uint8Array): string {
  // 36 does not divide 256: a slight bias, which uniqueness does not mind.
  return Array.from(random.subarray(0, 12), (byte) => (byte % 36).toString(36)).join("");
}
