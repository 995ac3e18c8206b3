/** The middle, the slow end and the worst of some measurements. */

/** In the measurements' own unit. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** By nearest rank: each is one of the measurements, of which there is at least one. */
export function quantilesOf(measurements: readonly number[]): Quantiles {
  const sorted = measurements.toSorted((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  return { p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}
