/**
 * What a command on this machine was set to: in `.dev.vars`, or in the environment. A file that cannot be read, or
 * that means to set something and does not, is refused: another database or hub than the one that was meant would be
 * changed.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./fail.ts";
import { findLineThatNames, parseDevVars } from "./parse-dev-vars.ts";
import { readTextFile } from "./read-text-file.ts";

/** The file; tests name another, so that they never touch what belongs to whoever runs them. */
export const DEV_VARS: string =
  process.env["WSPUBSUB_DEV_VARS"] ?? join(import.meta.dirname, "../../.dev.vars");

/** Where a setting can stand. */
export type SettingPlace = ".dev.vars" | "the environment";

/** A setting and where it stands, for messages about it. */
export interface Setting {
  readonly value: string;
  readonly place: SettingPlace;
  /** What stands in the other place, `null` for nothing. */
  readonly other: string | null;
}

/** The setting of a name, of the place that comes first; `null` where it is missing or empty in both. Throws a UserError. */
export function findSetting(name: string, first: SettingPlace): Setting | null {
  const values: Readonly<Record<SettingPlace, string>> = {
    ".dev.vars": findInFile(name),
    "the environment": process.env[name] ?? "",
  };
  const second = first === ".dev.vars" ? "the environment" : ".dev.vars";
  const place = values[first] === "" ? second : first;
  const value = values[place];
  if (value === "") return null;
  const other = values[place === first ? second : first];
  return { value, place, other: other === "" ? null : other };
}

/** Says on stderr which of two settings counts; `use` is what may be shown of it. */
export function noteChoice(name: string, { place }: Setting, use: string | null): void {
  const shown = use === null ? "" : `: ${use}`;
  console.error(
    `${name} differs in .dev.vars and in the environment. That of ${place} counts${shown}`,
  );
}

function findInFile(name: string): string {
  if (!isThere(DEV_VARS)) return "";
  const text = readTextFile(DEV_VARS);
  const value = parseDevVars(text).get(name);
  if (value !== undefined) return value;
  const line = findLineThatNames(name, text);
  if (line === null) return "";
  throw new UserError(
    `Cannot read ${DEV_VARS}: line ${line} has ${name} and does not set it. Write ${name}="…" there`,
  );
}

/** Also a link to nothing is there. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}
