/** Where a hub answers that was just deployed, as wrangler wrote it down (`WRANGLER_OUTPUT_FILE_PATH`). */
import { readFileSync } from "node:fs";
import * as v from "valibot";

const DeploySchema = v.object({ type: v.literal("deploy"), targets: v.array(v.string()) });

/** A host by itself, as wrangler prints addresses and custom domains; routes have a pattern. */
const TARGET = /^(?:(https?:\/\/[^\s/*]+)|([\w-]+(?:\.[\w-]+)+) \(custom domain\b.*)$/;

/** The first of them, a custom domain before workers.dev; `null`: wrangler named none. */
export function findDeployedUrl(file: string): string | null {
  const targets = readLines(file).flatMap((line) => {
    const entry = v.safeParse(DeploySchema, parseJson(line));
    return entry.success ? entry.output.targets : [];
  });
  const found = targets.map((target) => TARGET.exec(target));
  const custom = found.find((match) => match?.[2] !== undefined)?.[2];
  if (custom !== undefined) return `https://${custom}`;
  return found.find((match) => match?.[1] !== undefined)?.[1] ?? null;
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch (cause) {
    // ENOENT: it wrote nothing.
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    throw cause;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError: the last line is empty.
    return undefined;
  }
}
