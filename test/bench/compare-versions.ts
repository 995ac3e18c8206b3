/**
 * This version against another one, figure by figure: the ratio is taken within a round, where both have
 * met the same machine, and the rounds say how far it can be trusted.
 */
import { ratiosOf } from "./compare-rounds.ts";
import { type Figure, figuresOf } from "./figures.ts";
import { type Interval, medianInterval } from "./median-interval.ts";
import { median } from "./quantile.ts";
import type { RoundResult } from "./round-result.ts";
import { baselineOf } from "./targets/hub-kind.ts";

/** How much worse is still as good. */
export const TOLERANCE = 0.05;

export interface VersionRatio {
  readonly variant: string;
  /** Which way round the ratio is: `hub / before`. */
  readonly ratio: string;
  readonly figure: string;
  readonly better: Figure["better"];
  /** Rounds that have measured both. */
  readonly rounds: number;
  readonly median: number;
  /** 95 % interval of the median; undefined with too few rounds. */
  readonly interval: Interval | undefined;
  readonly holdsOne: boolean | undefined;
  readonly isWithinTolerance: boolean;
  /** Worse by more than the tolerance, and not by chance. */
  readonly isWorse: boolean;
}

/** All ratios of this version to the variants; those of one variant together. */
export function compareVersions(
  results: readonly RoundResult[],
  variants: Iterable<string>,
): VersionRatio[] {
  return [...variants].flatMap((variant) =>
    figuresOf(results).flatMap((figure) => {
      const baseline = baselineOf(variant);
      const ratios = ratiosOf(results, { target: baseline, to: variant }, figure.pick);
      return ratios.length === 0 ? [] : [judge({ baseline, variant }, figure, ratios)];
    }),
  );
}

function judge(
  { baseline, variant }: { readonly baseline: string; readonly variant: string },
  { name, better }: Figure,
  ratios: readonly number[],
): VersionRatio {
  const middle = median(ratios);
  const interval = medianInterval(ratios);
  const holdsOne = interval && interval.low <= 1 && interval.high >= 1;
  const excess = better === "lower" ? middle - 1 : 1 - middle;
  return {
    variant,
    ratio: `${baseline} / ${variant}`,
    figure: name,
    better,
    rounds: ratios.length,
    median: middle,
    interval,
    holdsOne,
    isWithinTolerance: Math.abs(middle - 1) <= TOLERANCE,
    isWorse: excess > TOLERANCE && holdsOne === false,
  };
}
