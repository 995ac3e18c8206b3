/** Traffic (traffic.ts) as a program of Node, Deno or Bun: waited for by what it reports, and by its end. */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { requireProgram } from "../optional-program.ts";
import { startProgram } from "../process.ts";
import { temporaryFolder } from "../temporary-files.ts";
import { clientLibrary } from "./client-library.ts";
import type { Report, Task } from "./traffic.ts";

/** Where a program runs. */
export type RuntimeName = "node" | "deno" | "bun";

/** Traffic under way, in a program or in a page. */
export interface ClientRun {
  /** Resolves when a report, past or to come, matches as JSON. */
  reported(pattern: RegExp): Promise<unknown>;
  /** What was reported so far. */
  reports(): Report[];
  /** Resolves when it is through; throws where anything was wrong, and where it does not end by itself. */
  ended(options?: { withinSeconds?: number }): Promise<ClientResult>;
  /** Ends it without warning. */
  kill(): Promise<void>;
}

/** How many numbered messages were published, and read. */
export interface ClientResult {
  readonly published: number;
  readonly read: number;
}

const PROGRAM = join(import.meta.dirname, "client-program.ts");
const PATIENCE_SECONDS = 150;
/** Of what a program printed, where it failed. */
const SHOWN_LINES = 40;

/** Starts a program with a task, and with a file as the publisher's outbox; it is killed with the test, at the latest. */
export async function startClient(
  runtime: RuntimeName,
  task: Task,
  outbox?: string,
): Promise<ClientRun> {
  const { command, args, env } = await launcherOf(runtime);
  const own = [...args, PROGRAM, await clientLibrary(), JSON.stringify(task)];
  if (outbox !== undefined) own.push(outbox);
  const program = startProgram(command, own, env);
  const kill = async (): Promise<void> => void (await program.end("SIGKILL"));
  onTestFinished(kill);
  const reports = (): Report[] => parseReports(program.output().split("\n"));
  return {
    reported: (pattern) => program.line(pattern),
    reports,
    ended: async ({ withinSeconds = PATIENCE_SECONDS } = {}) => {
      const code = await within(withinSeconds, program.exited);
      if (code === 0) return resultOf(reports());
      const lines = program.output().split("\n").slice(-SHOWN_LINES).join("\n");
      throw new Error(`In ${runtime}: ended with ${code ?? "nothing"}\n${lines}`);
    },
    kill,
  };
}

/** What a promise resolves with; `null` where it takes too long. */
export function within<Value>(seconds: number, promise: Promise<Value>): Promise<Value | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), seconds * 1000);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The reports among lines. */
export function parseReports(lines: readonly string[]): Report[] {
  return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Report);
}

/** What came of a run that is through; throws where a report says that something was wrong. */
export function resultOf(reports: readonly Report[]): ClientResult {
  const faults = reports.flatMap((report) => (report.type === "fault" ? [report.fault] : []));
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const countOf = (type: "published" | "read"): number =>
    reports.reduce((sum, report) => sum + (report.type === type ? report.messages : 0), 0);
  return { published: countOf("published"), read: countOf("read") };
}

async function launcherOf(
  runtime: RuntimeName,
): Promise<{ command: string; args: string[]; env?: Record<string, string> }> {
  switch (runtime) {
    case "node":
      return { command: process.execPath, args: [] };
    case "deno": {
      // No lock file beside ours, and nothing of the user's.
      const args = ["run", "--allow-all", "--no-config", "--no-lock", "--no-check"];
      const env = { DENO_DIR: await temporaryFolder(), DENO_NO_UPDATE_CHECK: "1" };
      return { command: requireProgram("deno"), args, env };
    }
    case "bun":
      return { command: requireProgram("bun"), args: ["run"] };
  }
}
