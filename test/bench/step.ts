/** What can be measured, and one thing to measure of every target before the next thing. */

/** In the order of a round. Memory comes first: after a throughput test a server has pages to spare. */
export const MEASUREMENTS = [
  "memory",
  "latency",
  "history",
  "connect",
  "post",
  "kick",
  "join",
  "storm",
  "flood",
  "ends",
  "ingest",
  "throughput",
] as const;

export type Measurement = (typeof MEASUREMENTS)[number];

export type Step =
  | { readonly kind: Exclude<Measurement, "throughput" | "ingest"> }
  | { readonly kind: "throughput"; readonly subscribers: number }
  | { readonly kind: "ingest"; readonly messagesPerFrame: number };
