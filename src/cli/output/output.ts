/**
 * stdout and stderr of a run. Invariant: what was written has been taken by the system, or its failure is known; a
 * failure of stderr is nobody's, since there is nowhere left to tell of it.
 */
import { UserError } from "../../local/fail.ts";

/** What was asked for could not be written to stdout. */
export class OutputError extends UserError {
  /** The reader has closed the pipe: `… | head` has seen enough. */
  readonly isClosedPipe: boolean;

  constructor(cause: NodeJS.ErrnoException) {
    const reason = cause.code ?? cause.message;
    super(`Cannot write to stdout (${reason})`, { cause });
    this.isClosedPipe = reason === "EPIPE";
  }
}

/** The two streams of a process. */
export class Output {
  readonly #stdout: NodeJS.WritableStream;
  readonly #stderr: NodeJS.WritableStream;
  /** When all that was written so far is taken. */
  #printed: Promise<NodeJS.ErrnoException | null> = Promise.resolve(null);
  #noted: Promise<unknown> = Promise.resolve();

  constructor(stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    // The callbacks of the writes tell of failures; nobody else may fail on them.
    for (const stream of [stdout, stderr]) stream.on("error", () => {});
  }

  /** Writes to stdout; `flush` tells how that went. */
  print(text: string): void {
    const [before, write] = [this.#printed, writeTo(this.#stdout, text)];
    this.#printed = before.then(async (failure) => failure ?? (await write));
  }

  /** Writes to stdout, and waits until the system has taken it; throws an OutputError where it did not. */
  async write(data: string | Uint8Array): Promise<void> {
    const failure = await writeTo(this.#stdout, data);
    if (failure !== null) throw new OutputError(failure);
  }

  /** Writes to stderr. */
  note(text: string): void {
    this.#noted = Promise.all([this.#noted, writeTo(this.#stderr, text)]);
  }

  /** Waits until all of it is written; throws an OutputError where stdout did not take it. */
  async flush(): Promise<void> {
    const [failure] = await Promise.all([this.#printed, this.#noted]);
    if (failure !== null) throw new OutputError(failure);
  }
}

function writeTo(
  stream: NodeJS.WritableStream,
  data: string | Uint8Array,
): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => stream.write(data, (error) => resolve(error ?? null)));
}
