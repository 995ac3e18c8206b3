/**
 * What is made to be shown once, a key or a secret. Invariant: where it was made, or may have been, and nobody has seen
 * it, the user is told so and what to do, whatever came between: no answer of Postgres, a signal, an output that takes
 * nothing.
 */
import { UserError } from "../local/fail.ts";
import { NoAnswerError } from "../local/database/database.ts";
import { beforeTheEnd } from "./before-the-end.ts";

/** Something to be made and shown. */
export interface Unseen<T> {
  /** Makes it; it may give `null` where there is nothing to make it of. */
  readonly make: () => Promise<T>;
  /** A clause for as long as nobody knows whether it was made. */
  readonly doubt: string;
  /** A clause for one that was made and that nobody has seen. */
  readonly remedy: (made: NonNullable<T>) => string;
  /** Shows it; resolves when the system has taken it. */
  readonly show: (made: NonNullable<T>) => Promise<void>;
}

/** Codes of failures before there was a connection: nothing was sent. */
const UNCONNECTED: ReadonlySet<string> = new Set(
  "ECONNREFUSED EHOSTUNREACH ENETUNREACH ENOTFOUND EAI_AGAIN UND_ERR_CONNECT_TIMEOUT".split(" "),
);

/** Makes something and shows it; throws a UserError that says what lies about unseen. */
export async function showOnce<T>({ make, doubt, remedy, show }: Unseen<T>): Promise<T> {
  let clause = doubt;
  const stopListening = beforeTheEnd(() => clause);
  try {
    let made: T;
    try {
      made = await make();
    } catch (error) {
      if (isSureToHaveFailed(error)) throw error;
      throw explain(error, clause);
    }
    if (made === null || made === undefined) return made;
    clause = remedy(made);
    try {
      await show(made);
    } catch (error) {
      throw explain(error, clause);
    }
    return made;
  } finally {
    stopListening();
  }
}

/** Whether Postgres refused, or was not asked. */
function isSureToHaveFailed(error: unknown): boolean {
  if (!(error instanceof NoAnswerError)) return error instanceof UserError;
  for (let cause: unknown = error; cause instanceof Error;) {
    if ("code" in cause && UNCONNECTED.has(String(cause.code))) return true;
    // Neon's driver keeps its cause elsewhere.
    cause = "sourceError" in cause ? cause.sourceError : cause.cause;
  }
  return false;
}

function explain(cause: unknown, clause: string): Error {
  return cause instanceof UserError
    ? new UserError(`${cause.message}:\n${clause}`, { cause })
    : new Error(clause, { cause });
}
