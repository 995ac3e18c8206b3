/**
 * Texts of others for a terminal: what it would obey, or not show, is spelled out. A name, a token or an answer of the
 * hub must not move the cursor, end a line or turn the direction of what is read.
 */

/** Controls, formats (zero-width and bidi among them), lone surrogates, what is unassigned, ends of lines. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
/** The same, but for what JSON spells out by itself, and for the line's ends between its members. */
const UNPRINTABLE_IN_JSON = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu;

/** One line of what a terminal shows as it is: `\u{1b}` for an escape character, `\u{a}` for an end of line. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => `\\u{${codeOf(character)}}`);
}

/** The same of a text that has lines of its own. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** JSON for scripts, which a terminal may show, too: it reads as any other JSON of the value. */
export function printableJson(value: unknown): string {
  return escape(JSON.stringify(value, null, 2));
}

/** The same in one line. */
export function printableJsonLine(value: unknown): string {
  return escape(JSON.stringify(value));
}

function escape(json: string): string {
  return json.replaceAll(UNPRINTABLE_IN_JSON, (character) =>
    // As UTF-16 units: JSON has no other way (RFC 8259, section 7).
    character.replaceAll(/[^]/g, (unit) => `\\u${codeOf(unit).padStart(4, "0")}`),
  );
}

/** Whether a terminal shows a text as it is. */
export function isPrintable(text: string): boolean {
  return printable(text) === text;
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16);
}
