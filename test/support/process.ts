/**
 * Programs that tests start: waited for by what they print, killed by pid, their output at hand when
 * something goes wrong.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { compileCache } from "./run-folder.ts";

/** A started program. */
export interface Program {
  readonly pid: number;
  /** Gives it more to read. */
  write(text: string): void;
  /** It gets nothing more to read. */
  endInput(): void;
  /** Everything it printed so far. */
  output(): string;
  /** The first line, past or to come, that matches; rejects when the program ends without it. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** Sends a signal and waits for the end; resolves with exit code or signal. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** Settles with the exit code when it ends by itself. */
  readonly exited: Promise<number | NodeJS.Signals | null>;
}

/** Starts a program in the project's root; `env` is all of its environment but PATH and HOME. */
export function startProgram(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, {
    cwd: `${import.meta.dirname}/../..`,
    // A DATABASE_URL of the tests' own environment must not reach it, nor that of .dev.vars.
    env: {
      ...(PATH && { PATH }),
      ...(HOME && { HOME }),
      ...compileCache(),
      WSPUBSUB_DEV_VARS: "/dev/null",
      ...env,
    },
    // Of its own and open: wscat ends when nobody could type any more.
    stdio: ["pipe", "pipe", "pipe"],
  });
  // What is written to one that has ended is lost.
  child.stdin.on("error", () => {});
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      child.emit("line");
    });
  }
  const exited = once(child, "close").then(() => child.exitCode ?? child.signalCode);
  return {
    pid: child.pid ?? -1,
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    output: () => lines.join("\n"),
    line: (pattern) => findLine(child, lines, exited, pattern),
    end: async (signal) => {
      child.kill(signal);
      return exited;
    },
    exited,
  };
}

async function findLine(
  child: ChildProcess,
  lines: readonly string[],
  exited: Program["exited"],
  pattern: RegExp,
): Promise<RegExpExecArray> {
  for (let next = 0; ; next++) {
    while (next >= lines.length) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`Ended without printing ${pattern}:\n${lines.join("\n")}`);
      }
      // Not `once` of its close: that would go on listening after each line.
      await Promise.race([once(child, "line"), exited]);
    }
    const match = pattern.exec(lines[next] ?? "");
    if (match) return match;
  }
}
