/** `npm run dev` beside a wrangler that is none: for what it does itself, without a runtime and a database. */
import { onTestFinished } from "vitest";
import { freePort } from "./free-port.ts";
import { untilFree } from "./hub-process.ts";
import { startProgram, type Program } from "./process.ts";

/** Nobody has that name, and nobody asks: the Worker is not there. */
export const NO_DATABASE = "postgres://postgres:geheim@nobody.neon.tech/postgres";

/** What `startDevAlone` may be given. */
export interface DevAloneOptions {
  readonly state: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before `node`, such as `["sh", "-c", …]`. */
  readonly before?: readonly string[];
}

/** Starts it, on a free port; it is ended after the test. */
export async function startDevAlone(
  options: DevAloneOptions,
): Promise<{ readonly port: number; readonly program: Program }> {
  const { state, args = [], env = {}, before = [] } = options;
  const port = await freePort();
  const command = [...before, "node", "src/local/dev.ts", "--state", state, ...args];
  const [file, ...rest] = [...command, "--port", String(port)];
  if (file === undefined) throw new Error("Cannot start nothing");
  const program = startProgram(file, rest, {
    WSPUBSUB_WRANGLER: `${import.meta.dirname}/fake-wrangler-dev.mjs`,
    DATABASE_URL: NO_DATABASE,
    ...env,
  });
  onTestFinished(async () => {
    await program.end("SIGTERM");
    await untilFree(port);
  });
  return { port, program };
}

/** Starts it and waits until it is ready. */
export async function devAlone(
  options: DevAloneOptions,
): Promise<{ readonly port: number; readonly program: Program }> {
  const started = await startDevAlone(options);
  await started.program.line(/^Ready/);
  return started;
}

/** What wrangler was started with. */
export async function seenByWrangler(
  port: number,
): Promise<{ readonly args: string[]; readonly env: Record<string, string> }> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  return (await response.json()) as { args: string[]; env: Record<string, string> };
}
