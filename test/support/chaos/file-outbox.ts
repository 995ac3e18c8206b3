/**
 * An outbox in a file, for a backend that may be killed at any moment: what it has handed to the library, and with it,
 * in the same step, which number comes next. So a program that is started again knows what it need not publish.
 *
 * The library puts nothing on the wire that a save does not hold: a number that no save has seen was never published.
 */
import { existsSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import type { Pending } from "../../../src/client/main.ts";
import type { NumberedOutbox } from "./traffic.ts";

interface Saved {
  readonly next: number;
  readonly pending: readonly Pending[];
}

/** Opens the outbox of a file, which need not be there. */
export function openFileOutbox(file: string): NumberedOutbox {
  const before: Saved = existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as Saved)
    : { next: 0, pending: [] };
  let { next } = before;
  return {
    next,
    load: () => before.pending,
    save: async (pending) => {
      next = Math.max(next, ...pending.flatMap(({ messages }) => messages.map(numberAfter)));
      const saved: Saved = { next, pending };
      // A file that is renamed is the old one or the new one, whenever the program is killed.
      await writeFile(`${file}.new`, JSON.stringify(saved));
      await rename(`${file}.new`, file);
    },
  };
}

/** The number behind a message's; 0 behind one that has none. */
function numberAfter(message: Pending["messages"][number]): number {
  const text = typeof message === "string" ? message : atob(message.base64);
  const number = Number.parseInt(text, 10);
  return Number.isNaN(number) ? 0 : number + 1;
}
