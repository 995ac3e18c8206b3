/** Medians over the rounds, and ratios to another target of the same round. */
import { median } from "./quantile.ts";
import type { RoundResult } from "./round-result.ts";

export type Pick = (result: RoundResult) => number | undefined;

/** The target's median; undefined what this run did not measure. */
export function medianOf(
  results: readonly RoundResult[],
  target: string,
  pick: Pick,
): number | undefined {
  const values = results.flatMap((result) =>
    result.target === target ? (pick(result) ?? []) : [],
  );
  return values.length === 0 ? undefined : median(values);
}

/** The median ratio of the target to another; undefined when no round has measured both. */
export function ratioOf(
  results: readonly RoundResult[],
  pair: { readonly target: string; readonly to: string },
  pick: Pick,
): number | undefined {
  const ratios = ratiosOf(results, pair, pick);
  return ratios.length === 0 ? undefined : median(ratios);
}

/** The ratios of the target to another, one for each round that has measured both. */
export function ratiosOf(
  results: readonly RoundResult[],
  { target, to }: { readonly target: string; readonly to: string },
  pick: Pick,
): number[] {
  return results.flatMap((result) => {
    if (result.target !== target) return [];
    const other = results.find((each) => each.target === to && each.round === result.round);
    const [value, base] = [pick(result), other === undefined ? undefined : pick(other)];
    return value === undefined || base === undefined ? [] : [value / base];
  });
}
