/** The messages of these tests: each is made of its number, so that a reader knows which one must come, byte for byte. */

/** A message, as it is sent and as it is received. */
export type Content = string | Uint8Array;

/** The text behind all numbered ones. */
export const LAST = "last";

/** What goes wrong where texts are cut, escaped or counted by the wrong unit. */
const ODD = ["", "é", "\u{1F44B}", '"\\\n\u0000', "~"];

/** The message of a number: every fifth is binary; `padding` is how many characters it has at least. */
export function contentOf(number: number, padding: number): Content {
  const text = `${number} ${ODD[number % 7] ?? ""}`.padEnd(padding, "x");
  return number % 5 === 4 ? new TextEncoder().encode(text) : text;
}

/** Whether two are the same, in kind and bytes. */
export function isSame(one: Content, other: Content): boolean {
  if (typeof one === "string" || typeof other === "string") return one === other;
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}

/** The beginning of one, for people, with its number first. */
export function describeContent(content: Content): string {
  const text = typeof content === "string" ? content : new TextDecoder().decode(content);
  return text.slice(0, 40);
}
