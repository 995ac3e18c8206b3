/**
 * The 95 % interval of a median from order statistics: it assumes nothing about the distribution, only
 * that the samples are independent. The k-th smallest and the k-th largest sample have the median between
 * them unless fewer than k samples lie on one side of it, and each side is a fair coin's.
 */
const CONFIDENCE = 0.95;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Undefined with fewer than 6 samples: even the smallest and the largest miss the median too often. */
export function medianInterval(samples: readonly number[]): Interval | undefined {
  const sorted = samples.toSorted((a, b) => a - b);
  const { length } = sorted;
  let rank = 0;
  let ways = 1;
  let missed = 0;
  // ways = length over rank: how often just that many of the samples lie on one side.
  while (rank < length / 2) {
    missed += (2 * ways) / 2 ** length;
    if (missed > 1 - CONFIDENCE) break;
    ways *= (length - rank) / (rank + 1);
    rank += 1;
  }
  const [low, high] = [sorted[rank - 1], sorted[length - rank]];
  return low === undefined || high === undefined ? undefined : { low, high };
}
