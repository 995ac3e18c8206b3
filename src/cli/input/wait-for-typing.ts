/** What is read from stdin may have to be typed. */
import type { Session } from "../session.ts";

/** Says what is waited for, where stdin is a terminal. */
export function waitForTyping(session: Session, what: string): void {
  if (!process.stdin.isTTY) return;
  session.note(`Type or paste ${what}, which this terminal shows, then Enter and Ctrl-D:`);
}
