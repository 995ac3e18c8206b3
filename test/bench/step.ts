/** One thing to measure of every target before the next thing. */
import type { Measurement } from "./options.ts";

export type Step =
  | { readonly kind: Exclude<Measurement, "throughput"> }
  | { readonly kind: "throughput"; readonly subscribers: number };
