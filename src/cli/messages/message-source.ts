/** Where messages to be published come from: arguments, or stdin. Knows no hub. */
import type { Batch } from "./outgoing.ts";
import { readLines, readWhole } from "./read-lines.ts";

/** What was asked for. */
export interface SourceOptions {
  readonly binary?: boolean;
  /** Messages that are published together, at most. */
  readonly batch?: number;
}

/** Reads them as they are taken. */
export async function* readBatches(
  messages: readonly string[],
  { binary = false, batch = 1 }: SourceOptions,
): AsyncGenerator<Batch, void> {
  if (messages.length > 0) yield* cut(messages, batch);
  else if (binary) yield [await readWhole(process.stdin)];
  else for await (const lines of readLines(process.stdin)) yield* cut(lines, batch);
}

function* cut(messages: readonly string[], size: number): Generator<Batch> {
  for (let at = 0; at < messages.length; at += size) yield messages.slice(at, at + size);
}
