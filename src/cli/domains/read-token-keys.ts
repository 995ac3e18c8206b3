/** The keys that `--token-keys` names. */
import { UserError } from "../../local/fail.ts";
import { readTextFile } from "../input/read-text-file.ts";
import { parseTokenKeys, type TokenKeys } from "./token-keys.ts";

/** Reads the file of a JWK Set; a value of `null` clears it, and `null` means no option at all. */
export async function readTokenKeys(
  file: string | undefined,
): Promise<{ readonly value: TokenKeys | null } | null> {
  if (file === undefined) return null;
  if (file === "none") return { value: null };
  const keys = await parseTokenKeys(await readTextFile(file));
  if (keys.ok) return { value: keys.value };
  throw new UserError(`Cannot use ${file}: ${keys.error}`);
}
