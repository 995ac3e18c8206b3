/** Waiting for what must happen. The bound is generous: it only decides when to give up. */
import { waitReally } from "../../support-in-workerd/real-time.ts";
import { Violation } from "./violation.ts";

const DEADLINE_MS = 10_000;

/** Waits for an event that the hub owes; a violation names it when it does not come. */
export async function within<T>(event: Promise<T>, what: () => string): Promise<T> {
  const cancel = new AbortController();
  const late = waitReally(DEADLINE_MS, cancel.signal).then(
    () => {
      throw new Violation(`${what()} within ${DEADLINE_MS / 1000} seconds`);
    },
    // Cancelled: the event came.
    () => event,
  );
  try {
    return await Promise.race([event, late]);
  } finally {
    cancel.abort();
  }
}
