/** How setup speaks: what it finds and does to stderr, and what is to be kept to stdout. */
import { once } from "node:events";

/** Says something about the step that is under way. */
export type Say = (sentence: string) => void;

/** Begins a step; what is said of it stands below its name. */
export function beginStep(name: string): Say {
  console.error(name);
  return (sentence) => console.error(`   ${sentence.replaceAll("\n", "\n   ")}`);
}

/** Shows what is shown once; whether anybody can have seen it. */
export async function show(line: string): Promise<boolean> {
  const failed = once(process.stdout, "error").then(() => false);
  const written = new Promise<boolean>((resolve) => {
    process.stdout.write(`${line}\n`, (error) => resolve(!(error instanceof Error)));
  });
  return Promise.race([written, failed]);
}
