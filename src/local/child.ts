/**
 * A child process that ends with us: forked with a channel, so that it notices our death, in a process
 * group of its own, so that its children end with it.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { onLines } from "./lines.ts";

/** Milliseconds a child has to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 3000;

/** Milliseconds that a child which has ended is still listened to. */
const LAST_WORDS_MS = 500;

/** How to start one. */
export interface ChildOptions {
  /** What people call it. */
  readonly name: string;
  readonly env: NodeJS.ProcessEnv;
  readonly execArgv?: string[];
  /** Gets every line of its stdout and stderr. */
  readonly onLine: (line: string) => void;
}

/** A running child. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** Starts a Node program. */
  constructor(file: string, args: string[], options: ChildOptions) {
    this.name = options.name;
    this.#process = fork(file, args, {
      env: options.env,
      execArgv: options.execArgv ?? [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
    });
    // What it said last may come after its exit; what it started may hold the pipe for longer.
    const closed = once(this.#process, "close");
    this.#exited = once(this.#process, "exit").then(() =>
      Promise.race([closed, sleep(LAST_WORDS_MS)]),
    );
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
