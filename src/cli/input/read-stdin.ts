/** What a command is given on stdin. */
import { text } from "node:stream/consumers";
import type { Session } from "../session.ts";

/** Reads all of it; says what it waits for where somebody is to type it. */
export async function readStdin(session: Session, what: string): Promise<string> {
  if (process.stdin.isTTY) {
    session.note(`Type or paste ${what}, which this terminal shows, then Enter and Ctrl-D:`);
  }
  return text(process.stdin);
}
