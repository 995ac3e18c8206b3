/**
 * Objects end: by themselves, by a crash, by a deployment. A call that was under way then fails although nothing is
 * wrong, and a stub that failed may be broken for good. So a caller asks once more, by a fresh stub. What is asked must
 * bear being done twice. What the runtime itself has tried again is not tried once more.
 */

/** What the platform says where it sets no mark (Durable Objects documentation, troubleshooting; workerd 1.20261117). */
const ENDED = new RegExp(
  [
    "durable object reset",
    "to reset durable object",
    "caused object to be reset",
    "code (?:was|has been) updated",
    "no longer (?:be )?access(?:ible)?",
    "shut(?:ting)? ?down",
  ].join("|"),
  "i",
);

/** Whether a call failed only because its object ended meanwhile. */
export function hasEnded(error: unknown): boolean {
  if (!(error instanceof Error) || isMarked(error, "overloaded")) return false;
  return isMarked(error, "durableObjectReset") || ENDED.test(error.message);
}

/** Whether a call that failed may go well in a few seconds. */
export function isPassing(error: Error): boolean {
  return hasEnded(error) || isMarked(error, "overloaded") || isMarked(error, "retryable");
}

/** Asks, and once more where the object ended meanwhile; `ask` must take a stub of its own each time. */
export async function askAgain<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!hasEnded(error)) throw error;
    return ask();
  }
}

/** Whether the platform has set a mark (Durable Objects documentation, error-handling). */
function isMarked(error: Error, mark: "durableObjectReset" | "overloaded" | "retryable"): boolean {
  return new Map<string, unknown>(Object.entries(error)).get(mark) === true;
}
