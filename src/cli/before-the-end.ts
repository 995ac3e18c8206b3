/**
 * Last words of a command that a signal ends. Invariant: the signal does what it would have done, so that whoever sent
 * it sees by what the command ended.
 */
import { writeSync } from "node:fs";
import { printableLines } from "./output/printable.ts";

/** The signals by which people and systems end a command. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Says a clause when a signal ends the process, unless it is empty; returns what stops that. */
export function beforeTheEnd(clause: () => string): () => void {
  const listener = (signal: NodeJS.Signals): void => {
    stop();
    const words = clause();
    try {
      if (words !== "") writeSync(process.stderr.fd, `${printableLines(`${signal}: ${words}`)}\n`);
    } catch {
      // Whatever the system says: nobody is there to read it.
    }
    process.kill(process.pid, signal);
  };
  const stop = (): void => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return stop;
}
