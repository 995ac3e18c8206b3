/**
 * The one clock by which keys, policies and grants are ordered: Postgres's own, which comes with each of its
 * answers. Older never replaces newer, whatever the machines in between believe the time to be.
 */

/**
 * How far two answers may be apart and still have been given in the other order: the clock is read after the row
 * was, by at most the time that a query may take; and a standby's clock is not its primary's. Milliseconds.
 */
const TOLERANCE_MS = 2000;

/** Whether what held at a time may have been read before something else that held at another. */
export function mayPrecede(atMs: number, otherAtMs: number): boolean {
  return atMs <= otherAtMs + TOLERANCE_MS;
}
