/** Numbers of things, for people. */

/** `no topic`, `1 topic`, `2 topics`. */
export function count(number: number, thing: string): string {
  if (number === 0) return `no ${thing}`;
  return number === 1 ? `1 ${thing}` : `${number} ${thing}s`;
}

/** The verb that goes with a number. */
export function wasOrWere(number: number): "was" | "were" {
  return number > 1 ? "were" : "was";
}
