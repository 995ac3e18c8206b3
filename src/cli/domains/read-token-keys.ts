/** The keys that `--token-keys` names. */
import { UserError } from "../../local/fail.ts";
import { readTextFile } from "../../local/read-text-file.ts";
import { parseTokenKeys, type TokenKeys } from "./token-keys.ts";

/** Keys to be set, `null` for none, and sentences about those that the file has and the hub cannot use. */
export interface TokenKeysChange {
  readonly value: TokenKeys | null;
  readonly skipped: readonly string[];
}

/** Reads the file of a JWK Set; `null` without the option. */
export async function readTokenKeys(file: string | undefined): Promise<TokenKeysChange | null> {
  if (file === undefined) return null;
  if (file === "none") return { value: null, skipped: [] };
  const parsed = await parseTokenKeys(readTextFile(file));
  if (!parsed.ok) throw new UserError(`Cannot use ${file}: ${parsed.error}`);
  const { keys, skipped } = parsed.value;
  return { value: { keys }, skipped };
}
