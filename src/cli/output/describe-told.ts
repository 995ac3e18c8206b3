/** What came of telling live topics of a change, for people. */
import { count, wasOrWere } from "./count.ts";

/** A clause: `2 sockets were closed`. */
export function describeClosed(closed: number): string {
  return `${count(closed, "socket")} ${wasOrWere(closed)} closed`;
}

/** A sentence, or nothing where nobody was missed, or it is not known. */
export function describeMissed(missed: number | null, thing: string): string {
  if (missed === null || missed === 0) return "";
  const whom = missed === 1 ? "it" : "them";
  return ` ${count(missed, thing)} could not be reached yet: the hub goes on telling ${whom}.`;
}
