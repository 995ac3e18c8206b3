/**
 * What a command on this machine was set to: `.dev.vars` before the environment, as wrangler has it.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";

/** The file; tests name another, so that they never touch what belongs to whoever runs them. */
export const DEV_VARS: string =
  process.env["WSPUBSUB_DEV_VARS"] ?? join(import.meta.dirname, "../../.dev.vars");

/** A setting and where it stands, for messages about it. */
export interface Setting {
  readonly value: string;
  readonly place: ".dev.vars" | "the environment";
}

/** The setting of a name, `null` where it is missing or empty. */
export function findSetting(name: string): Setting | null {
  const vars = existsSync(DEV_VARS) ? parseEnv(readFileSync(DEV_VARS, "utf8")) : {};
  const inFile = vars[name];
  const value = inFile ?? process.env[name];
  if (value === undefined || value === "") return null;
  return { value, place: inFile === undefined ? "the environment" : ".dev.vars" };
}
