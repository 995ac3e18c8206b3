/** A key that somebody has already, from stdin: an argument would be in every list of processes. Never echoes it. */
import { decodeProtectedHeader } from "jose";
import { UserError } from "../../local/fail.ts";
import { readStdin } from "../../local/read-text-file.ts";
import { UsageError } from "../usage-error.ts";

/** UTF-16 units: what the hub looks up, and `apikeys.apikey` can hold. */
const MAX_LENGTH = 256;

/** What schema.sql leaves of a key. */
const HINT = /^.{0,4}…$/u;

/** Reads the key; throws a UserError for one that the hub could not take. */
export async function readKey(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new UsageError("Give the key on stdin: wspubsub keys import DOMAIN < FILE");
  }
  const key = (await readStdin()).replace(/\r?\n$/, "");
  const fault = findFault(key);
  if (fault !== null) throw new UserError(`The key on stdin ${fault}: nothing was imported`);
  return key;
}

/** What its users must know of a key, as sentences. */
export function findLimits(key: string): string[] {
  const limits: string[] = [];
  if (!/^[!-~]+$/.test(key)) {
    limits.push(
      'It cannot stand in a header: send it in the path, or by the subprotocol "base64url…".',
    );
  } else if (looksLikeToken(key)) {
    limits.push(
      "It has the form of a token, and in a header it is taken for one: send it in the path.",
    );
  }
  if (key === "." || key === "..") {
    limits.push("It cannot stand in the path, where it means a folder: send it in a header.");
  } else if (encodeURIComponent(key) !== key) {
    limits.push("In the path it must be percent-encoded.");
  }
  return limits;
}

/** As the hub tells keys from tokens: three parts, and a header that names an algorithm. */
function looksLikeToken(key: string): boolean {
  try {
    return /^[\w-]+\.[\w-]*\.[\w-]*$/.test(key) && "alg" in decodeProtectedHeader(key);
  } catch {
    // TypeError: the first part is no JSON.
    return false;
  }
}

function findFault(key: string): string | null {
  if (key === "") return "is empty";
  if (/\p{Cc}/u.test(key)) return "has more than one line, or a control character";
  if (key.length > MAX_LENGTH) return `has more than ${MAX_LENGTH} characters`;
  return HINT.test(key) ? "is the hint of a key, not a key" : null;
}
