/** Questions to the person at the terminal. Invariant: nobody is waited for that is not there, or that has left. */
import { createInterface, type Interface } from "node:readline/promises";
import { Writable } from "node:stream";
import { UserError } from "./fail.ts";

/** Whether somebody can be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks; throws a UserError when the terminal is closed instead. */
export function ask(question: string): Promise<string> {
  return withTerminal(process.stderr, (terminal) => terminal.question(question));
}

/** Asks for what must not be seen, nor stay in the terminal. */
export async function askSecret(question: string): Promise<string> {
  // The terminal is in raw mode: what is typed shows only where this writes it.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    return await withTerminal(nowhere, (terminal) => {
      // Not before the terminal is set: keys that come early would show.
      process.stderr.write(question);
      return terminal.question("");
    });
  } finally {
    process.stderr.write("\n");
  }
}

/** Asks for a yes; anything else is a no. */
export async function isYes(question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await ask(`${question} (yes/no) `)).trim());
}

async function withTerminal(
  output: NodeJS.WritableStream,
  run: (terminal: Interface) => Promise<string>,
): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  const closed = new Promise<never>((_, reject) => {
    terminal.once("close", () => reject(new UserError("Nobody answered")));
    terminal.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  });
  try {
    return await Promise.race([run(terminal), closed]);
  } finally {
    closed.catch(() => {});
    terminal.close();
  }
}
