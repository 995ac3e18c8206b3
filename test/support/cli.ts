/**
 * The command line as tests run it: a process of its own, its two streams apart, on a Postgres of the test
 * file's own.
 */
import { neon, neonConfig } from "@neondatabase/serverless";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect } from "vitest";
import { compileCache } from "./run-folder.ts";
import { startPostgres, type LocalPostgres } from "./local-postgres.ts";

/** What a run came to. */
export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run is given. */
export interface CliOptions {
  /** Beside PATH, HOME and the DATABASE_URL of the file's Postgres. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its stdin. */
  readonly input?: string | Buffer;
  /** Streams of which nothing can be read: a pipe that its reader has closed, or a full disk. */
  readonly stdout?: BrokenStream;
  readonly stderr?: BrokenStream;
}

/** What is wrong with a stream. */
export type BrokenStream = "closed" | "full";

/** A run that goes on. */
export interface StartedCli {
  kill(signal: NodeJS.Signals): void;
  /** What it came to. */
  readonly ended: Promise<CliRun>;
}

/** Keys and secrets as the command line makes them. */
export const SECRET_FORM = /^[A-Za-z0-9_-]{43}$/;

// A folder that is not there: the hub of whoever runs the tests is not meant.
const NO_STATE = join(tmpdir(), "wspubsub-no-such-folder");

let postgres: LocalPostgres;

/** Gives the test file a Postgres, for as long as it runs. */
export function usePostgres(): void {
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());
}

/** Runs SQL on it. */
export function sql(query: string, params: unknown[]): Promise<Record<string, unknown>[]> {
  neonConfig.fetchEndpoint = postgres.endpoint;
  return neon(postgres.url).query(query, params);
}

/** Runs `wspubsub` with it, to its end. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return start(args, options).ended;
}

/** Starts it. */
export function start(args: readonly string[], options: CliOptions = {}): StartedCli {
  const env = { DATABASE_URL: postgres.url, ...options.env };
  return startCli(["--state", NO_STATE, ...args], { ...options, env });
}

/** Runs it with --json and reads its stdout, which has nothing else. */
export async function json(
  args: readonly string[],
  options?: CliOptions,
): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli([...args, "--json"], options);
  if (code !== 0) throw new Error(`Ended with exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Expects exit code 1 and a sentence on stderr alone: no stack. */
export function expectFailure(run: CliRun, part: string): void {
  expectEnd(run, 1, part);
}

/** Expects exit code 2 and a sentence on stderr alone: no stack. */
export function expectUsageError(run: CliRun, part: string): void {
  expectEnd(run, 2, part);
}

/** A domain that no other test uses. */
export function newDomain(): string {
  return `cli-${crypto.randomUUID()}`;
}

/** Runs `wspubsub` to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return startCli(args, options).ended;
}

/** Starts `wspubsub`. */
export function startCli(args: readonly string[], options: CliOptions = {}): StartedCli {
  const { PATH, HOME } = process.env;
  const isFull = options.stdout === "full" || options.stderr === "full";
  const full = isFull ? openSync("/dev/full", "w") : null;
  const child = spawn("node", ["src/cli/main.ts", ...args], {
    cwd: `${import.meta.dirname}/../..`,
    env: {
      ...(PATH && { PATH }),
      ...(HOME && { HOME }),
      ...compileCache(),
      // Not the settings of whoever runs the tests.
      WSPUBSUB_DEV_VARS: "/dev/null",
      ...options.env,
    },
    stdio: [
      "pipe",
      options.stdout === "full" ? full : "pipe",
      options.stderr === "full" ? full : "pipe",
    ],
  });
  if (full !== null) closeSync(full);
  if (options.stdout === "closed") child.stdout?.destroy();
  if (options.stderr === "closed") child.stderr?.destroy();
  // It may have ended without reading what it was given.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  const streams = [child.stdout, child.stderr].map((stream) =>
    stream === null || stream.destroyed ? "" : text(stream),
  );
  const ended = Promise.all([...streams, once(child, "close")]).then(([stdout, stderr]) => ({
    code: child.exitCode,
    stdout: String(stdout),
    stderr: String(stderr),
  }));
  return { kill: (signal) => void child.kill(signal), ended };
}

function expectEnd(run: CliRun, code: number, part: string): void {
  expect(run).toMatchObject({ code, stdout: "" });
  expect(run.stderr).toContain(part);
  expect(run.stderr).not.toMatch(/^ +at /m);
}
