/**
 * A server under test as a child process: started (pinned to one processor where taskset exists),
 * waited for, and stopped by its own id.
 *
 * It keeps the last lines the server printed, so that a server that dies says why.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { pinned } from "./pinned.ts";
import { listProcessTree } from "./process-tree.ts";

export interface ServerOptions {
  /** The processor to pin the server to; absent = the scheduler decides. */
  readonly cpu?: number | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
const KEPT_OUTPUT_CHARACTERS = 4_000;

export class ServerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #kill = (): void => {
    this.#killTree();
  };
  #output = "";
  #endedWith: string | undefined;
  #isStopping = false;

  constructor(name: string, command: readonly string[], options: ServerOptions = {}) {
    this.name = name;
    const [file, ...args] = pinned(command, options.cpu);
    this.#child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: options.env ?? process.env,
    });
    // Whatever ends the benchmark, no server may outlive it.
    process.prependOnceListener("exit", this.#kill);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARACTERS);
      });
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#endedWith = error.message;
        resolve();
      });
      this.#child.once("exit", (code, signal) => {
        this.#endedWith = signal ?? `exit code ${code}`;
        resolve();
      });
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`Cannot start ${this.name}: ${this.#endedWith}`);
    return pid;
  }

  /** Throws when the server ended although nobody asked it to. */
  assertAlive(): void {
    if (this.#endedWith === undefined || this.#isStopping) return;
    throw new Error(`${this.name} died (${this.#endedWith}); it printed: ${this.#output.trim()}`);
  }

  /** Waits until the port accepts connections. */
  async waitForPort(port: number): Promise<void> {
    await this.#waitUntil(() => canConnect(port), `listen on port ${port}`);
  }

  /** Waits until the server has printed the text. */
  async waitForOutput(text: string): Promise<void> {
    await this.#waitUntil(() => this.#output.includes(text), `print "${text}"`);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#endedWith !== undefined) return;
    this.#child.kill("SIGTERM");
    const killer = setTimeout(this.#kill, STOP_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(killer);
    process.off("exit", this.#kill);
  }

  /** Kills the descendants too: nginx's worker outlives a master that was killed. */
  #killTree(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#endedWith !== undefined) return;
    for (const descendant of listProcessTree(pid)) {
      try {
        process.kill(descendant, "SIGKILL");
      } catch {
        // ESRCH: it ended by itself since the listing.
      }
    }
  }

  async #waitUntil(isReady: () => boolean | Promise<boolean>, goal: string): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await isReady())) {
      this.assertAlive();
      if (performance.now() > deadline) {
        throw new Error(`${this.name} did not ${goal} in time; it printed: ${this.#output.trim()}`);
      }
      await sleep(50);
    }
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
