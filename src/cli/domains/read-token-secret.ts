/** The secret that `--token-secret` asks for. Never echoes what it was given. */
import { UserError } from "../../local/fail.ts";
import { readStdin } from "../../local/read-text-file.ts";
import { waitForTyping } from "../input/wait-for-typing.ts";
import { makeSecret } from "../make-secret.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";

/** What schema.sql asks for, in characters. */
const LEAST_LENGTH = 32;

/** A secret to be set, `null` for none; `isNew` is one that nobody has seen yet. */
export interface TokenSecretChange {
  readonly value: string | null;
  readonly isNew: boolean;
}

/** Makes the secret, or reads it from stdin; `null` without the option. */
export async function readTokenSecret(
  session: Session,
  how: string | undefined,
): Promise<TokenSecretChange | null> {
  switch (how) {
    case undefined:
      return null;
    case "none":
      return { value: null, isNew: false };
    case "new":
      return { value: makeSecret(), isNew: true };
    case "-":
      waitForTyping(session, "the token secret");
      return { value: checkSecret(await readStdin()), isNew: false };
    default:
      // A secret on the command line would be in the shell's history and in every list of processes.
      throw new UsageError(
        '--token-secret takes "new", "none", or "-" to read the secret from stdin, not the secret itself',
      );
  }
}

function checkSecret(input: string): string {
  const secret = input.replace(/\r?\n$/, "");
  if (Array.from(secret).length < LEAST_LENGTH) {
    throw new UserError(`The token secret on stdin has less than ${LEAST_LENGTH} characters`);
  }
  if (/\p{Cc}/u.test(secret)) {
    throw new UserError("The token secret on stdin has more than one line, or a control character");
  }
  return secret;
}
