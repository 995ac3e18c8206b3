/**
 * Cursors, opened up. To clients they are opaque (PROTOCOL.md, 9.1); the simulator knows that this
 * implementation writes `EPOCH-OFFSET` with a decimal offset, so that it can find holes by counting.
 */
import { Violation } from "./violation.ts";

/** Where a message stands in a topic's log. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** Two places that follow each other without being neighbours. */
export interface Step {
  readonly from: Place;
  readonly to: Place;
}

/** Reads a cursor. */
export function parsePlace(cursor: string): Place {
  const match = /^([0-9A-Za-z._~-]{1,62})-(0|[1-9]\d*)$/.exec(cursor);
  if (match?.[1] === undefined || cursor.length > 64) {
    throw new Violation(`"${cursor}" is not a cursor`);
  }
  return { epoch: match[1], offset: Number(match[2]) };
}

/** Writes a place as the hub does. */
export function formatPlace({ epoch, offset }: Place): string {
  return `${epoch}-${offset}`;
}

/** Both ends of a step. */
export function range({ from, to }: Step): string {
  return `${formatPlace(from)} to ${formatPlace(to)}`;
}
