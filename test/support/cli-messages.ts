/** `pub`, `sub` and what belongs to them, as tests run them: against the hub under test, with a key of their own. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import { freshDomain } from "./addresses.ts";
import { runCli, type CliOptions, type CliRun } from "./cli.ts";
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

/** Runs a command to its end. */
export function run(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return runCli(["--state", NO_STATE, ...args], options);
}

/** Starts a command that goes on; it is killed after the test. */
export function startCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Program {
  return track(startProgram("node", ["src/cli/main.ts", "--state", NO_STATE, ...args], env));
}

/** Starts a shell's line, in which `wspubsub` is the command. */
export function startShell(line: string, env: Readonly<Record<string, string>>): Program {
  const define = `wspubsub() { node src/cli/main.ts --state ${NO_STATE} "$@"; }`;
  return track(startProgram("bash", ["-c", `${define}\n${line}`], env));
}

/** What is published so far, as `sub` prints it. */
export async function published(
  { domain, topic, env }: Pick<CliTopic, "domain" | "topic" | "env">,
  count: number,
): Promise<string> {
  const args = ["sub", domain, topic, "--since", "earliest", "--count", String(count)];
  return (await run(args, { env })).stdout;
}

function track(program: Program): Program {
  onTestFinished(async () => void (await program.end("SIGKILL")));
  return program;
}
