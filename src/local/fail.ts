/**
 * How the commands end when they cannot do what was asked: a sentence on stderr and exit code 1.
 */

/** A failure that the user can do something about; its message is the whole explanation. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** Ends the process on an error: a sentence for a UserError, everything for a bug. */
export function failWith(error: unknown): never {
  if (error instanceof UserError) console.error(error.message);
  else console.error(error);
  process.exit(1);
}
