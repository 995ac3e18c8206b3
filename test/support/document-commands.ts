/** Runs a document's commands at the hub under test and its Postgres, with names of the test's own in place of theirs. */
import { expect, inject } from "vitest";
import { databaseUrl } from "./addresses.ts";
import { startProgram, type Program } from "./process.ts";

/** What npx finds in a checkout. Finding it takes npm as long as most commands take. */
const COMMAND_LINE = "node src/cli/launch.js";

/** What stands in a block, and what takes its place. */
export type Replacements = Readonly<Record<string, string>>;

/** A block with all that is to be replaced in it; throws where it lacks one. */
export function adapt(block: string, replacements: Replacements): string {
  return Object.entries(replacements).reduce((text, [written, own]) => {
    if (!text.includes(written)) throw new Error(`The block has no "${written}":\n${text}`);
    return text.replaceAll(written, own);
  }, block);
}

/** Starts a script of the shell, which ends at its first failure. */
export function startScript(script: string, env: Replacements = {}): Program {
  const { url, adminToken } = inject("hub");
  return startProgram("sh", ["-ec", script.replaceAll("npx wspubsub", COMMAND_LINE)], {
    DATABASE_URL: databaseUrl(),
    HUB_URL: url.replace(/^ws/, "http"),
    ADMIN_TOKEN: adminToken ?? "",
    ...env,
  });
}

/** Runs one to its end, which must be a success; resolves with what it printed. */
export async function runScript(script: string, env: Replacements = {}): Promise<string> {
  const program = startScript(script, env);
  const code = await program.exited;
  expect({ code, output: program.output() }).toMatchObject({ code: 0 });
  return program.output();
}
