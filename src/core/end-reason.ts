/**
 * Why a topic's life is over (PROTOCOL.md, 10.6): the words of the wire, which is also how they are stored. Knows
 * neither frames nor phases.
 */

/**
 * `finished`: its publisher said so. `abandoned`: it left, and the grace passed without another one. `deleted`: somebody has
 * deleted it.
 */
export type EndReason = (typeof END_REASONS)[number];

/** All of them. */
export const END_REASONS = ["finished", "abandoned", "deleted"] as const;

/** Whether a value is one of them. */
export function isEndReason(value: unknown): value is EndReason {
  return END_REASONS.some((reason) => reason === value);
}
