/**
 * A child process that ends with us: forked with a channel, so that it notices our death, in a process
 * group of its own, so that its children end with it.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { onLines } from "./lines.ts";

/** Milliseconds a child has to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 3000;

/** A running child. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** Starts a Node program; `onLine` gets every line of its stdout and stderr. */
  constructor(
    file: string,
    args: string[],
    options: { env: NodeJS.ProcessEnv; execArgv?: string[]; onLine: (line: string) => void },
  ) {
    this.#process = fork(file, args, {
      env: options.env,
      execArgv: options.execArgv ?? [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
    });
    this.#exited = once(this.#process, "exit");
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream) onLines(stream, options.onLine);
    }
  }

  /** Settles when it has ended, by itself or not. */
  get exited(): Promise<unknown> {
    return this.#exited;
  }

  /** Ends it and everything it started. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_TIMEOUT_MS);
    this.#signal("SIGTERM");
    await this.#exited;
    clearTimeout(timer);
    // What is left of its group has lost its parent.
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // ESRCH: the group is gone.
    }
  }
}
