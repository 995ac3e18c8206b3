/** `pub`, `sub` and what belongs to them, as tests run them: against the hub under test, with a key of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { inject, onTestFinished } from "vitest";
import { freshDomain } from "./addresses.ts";
import { startCli, type CliOptions, type CliRun } from "./cli.ts";
import { compileCache } from "./run-folder.ts";
import { startProgram, type Program } from "./process.ts";

// A folder that is not there: the hub of whoever runs the tests is not meant.
const NO_STATE = join(tmpdir(), "wspubsub-no-such-folder");

/** A topic, and what a command needs to use it. */
export interface CliTopic {
  readonly domain: string;
  readonly topic: string;
  readonly key: string;
  /** A key that opens the domain is among it. */
  readonly env: Readonly<Record<string, string>>;
}

/** Many may publish, and what they publish is kept. */
export const SHARED = { publishers: "shared", history_messages: 100_000 };

/** A topic of a domain of its own. */
export async function cliTopic(
  policy: Record<string, string | number> | null = SHARED,
): Promise<CliTopic> {
  const { key, domain } = await freshDomain(policy);
  return {
    domain,
    topic: crypto.randomUUID(),
    key,
    env: { HUB_URL: hubUrl(), WSPUBSUB_KEY: key },
  };
}

/** The hub under test. */
export function hubUrl(): string {
  return inject("hub").url.replace(/^ws/, "http");
}

/** Runs a command to its end; one that has none is killed after the test. */
export function run(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const started = startCli(["--state", NO_STATE, ...args], options);
  onTestFinished(() => started.kill("SIGKILL"));
  return started.ended;
}

/** Starts a command that goes on; it is killed after the test. */
export function startCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  const program = startProgram("node", ["src/cli/main.ts", "--state", NO_STATE, ...args], env);
  onTestFinished(async () => void (await program.end("SIGKILL")));
  return program;
}

/** Runs a line of bash, in which `wspubsub` is the command; both streams are its output. */
export async function runShell(
  line: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const define = `wspubsub() { node src/cli/main.ts --state ${NO_STATE} "$@"; }; exec 2>&1`;
  const child = spawn("bash", ["-c", `${define}\n${line}`], {
    cwd: `${import.meta.dirname}/../..`,
    env: { PATH: process.env["PATH"], ...compileCache(), WSPUBSUB_DEV_VARS: "/dev/null", ...env },
    stdio: ["ignore", "pipe", "inherit"],
    // A group, which is killed with all that it has started.
    detached: true,
  });
  onTestFinished(() => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { code: child.exitCode, output };
}

/** What is published so far, as `sub` prints it. */
export async function published(
  { domain, topic, env }: Pick<CliTopic, "domain" | "topic" | "env">,
  count: number,
): Promise<string> {
  const args = ["sub", domain, topic, "--since", "earliest", "--count", String(count)];
  return (await run(args, { env })).stdout;
}
