/**
 * Places within a frame. The hub gives a cursor to a frame's last message alone (PROTOCOL.md, 10.4); the others get
 * one that says where the frame begins, and which message of it they are. The hub never sees those.
 */

/** Where to begin: a place that the hub knows, and how many messages behind it are known already. */
export interface Start {
  readonly since: string | undefined;
  readonly skip: number;
}

/** The cursor of a message that is not its frame's last, counted from 1. */
export function placeWithin(start: string, count: number): string {
  return `${start}~${count}`;
}

/** Reads what a caller has kept. */
export function parseStart(since: string | undefined): Start {
  const [, start, count] = /^(.+)~(\d+)$/.exec(since ?? "") ?? [];
  return start === undefined ? { since, skip: 0 } : { since: start, skip: Number(count) };
}
