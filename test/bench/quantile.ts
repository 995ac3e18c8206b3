/** The value below which a share of the samples lies (nearest rank); NaN without samples. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const rank = Math.max(0, Math.ceil(share * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

/** Between the two in the middle, where there are two. */
export function median(samples: readonly number[]): number {
  const upper = samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
  return (quantile(samples, 0.5) + upper) / 2;
}
