/** How far a command is, on a terminal where it takes a while; nothing anywhere else. */
import type { Session } from "../session.ts";

const FIRST_MS = 1000;
const NEXT_MS = 500;

/** Begins to tell; returns what ends it. Where people type, nothing comes between. */
export function startProgress(session: Session, describe: () => string): () => void {
  if (!process.stderr.isTTY || process.stdin.isTTY) return () => {};
  let isShown = false;
  const show = (): void => {
    isShown = true;
    session.overwrite(describe());
    timer = setTimeout(show, NEXT_MS).unref();
  };
  let timer = setTimeout(show, FIRST_MS).unref();
  return () => {
    clearTimeout(timer);
    if (!isShown) return;
    session.overwrite(describe());
    session.note("");
  };
}
