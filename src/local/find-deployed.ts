/**
 * In which jurisdiction the deployed hub has its objects, as Cloudflare tells wrangler. Changes nothing; what
 * cannot be told is never taken for "none".
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import * as v from "valibot";

/** The program; tests name another, since they have no account. */
export const WRANGLER: string =
  process.env["WSPUBSUB_WRANGLER"] ??
  join(import.meta.dirname, "../../node_modules/wrangler/bin/wrangler.js");

/** What there is. */
export type Deployed =
  /** `none` for a version without one; several while versions share the traffic. */
  | { readonly type: "found"; readonly jurisdictions: readonly string[] }
  | { readonly type: "nothing" }
  | { readonly type: "unknown"; readonly reason: string };

const DeploymentSchema = v.object({ versions: v.array(v.object({ version_id: v.string() })) });

const VersionSchema = v.object({
  resources: v.object({ bindings: v.array(v.looseObject({ name: v.string() })) }),
});

/** Cloudflare's error for a Worker that is not there. */
const NO_SUCH_WORKER = /\b10007\b|does not exist on your account/;

const run = promisify(execFile);

/** Asks; `which` are wrangler's options that choose the Worker. */
export async function findDeployed(which: readonly string[]): Promise<Deployed> {
  try {
    const status = await ask(["deployments", "status", ...which]);
    const { versions } = v.parse(DeploymentSchema, status);
    const jurisdictions = [];
    for (const { version_id } of versions) {
      const version = await ask(["versions", "view", version_id, ...which]);
      jurisdictions.push(jurisdictionOf(v.parse(VersionSchema, version)));
    }
    return versions.length === 0
      ? { type: "nothing" }
      : { type: "found", jurisdictions: [...new Set(jurisdictions)] };
  } catch (error) {
    // wrangler's exit code (nobody is logged in, nothing answers, no such Worker), no JSON, or other JSON.
    const words = error instanceof Error ? `${error.message}\n${outputOf(error)}` : String(error);
    if (NO_SUCH_WORKER.test(words)) return { type: "nothing" };
    return { type: "unknown", reason: reasonOf(words) };
  }
}

async function ask(args: readonly string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [WRANGLER, ...args, "--json"]);
  return JSON.parse(stdout);
}

function jurisdictionOf({ resources }: v.InferOutput<typeof VersionSchema>): string {
  const binding = resources.bindings.find(({ name }) => name === "JURISDICTION");
  const text = binding?.["text"];
  return typeof text === "string" && text !== "" ? text : "none";
}

/** What a program that failed had printed. */
function outputOf(error: Error): string {
  return ["stdout", "stderr"]
    .map((stream): unknown => Reflect.get(error, stream))
    .filter((text) => typeof text === "string")
    .join("\n");
}

/** The line that wrangler marks as the error, else that there is none. */
function reasonOf(words: string): string {
  const [, reason] = /\[ERROR\]\s*(.+)/.exec(stripVTControlCharacters(words)) ?? [];
  return reason?.trim() ?? "wrangler did not say";
}
