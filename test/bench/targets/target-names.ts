/** The names of the targets, in the order of a round. */
export const TARGETS: readonly string[] = [
  "hub",
  "hub-durable",
  "stream",
  "stream-durable",
  "floor",
  "ws",
  "nchan",
  "mosquitto",
];

/** Those that --quick measures: they need nothing installed. */
export const QUICK_TARGETS: readonly string[] = [
  "hub",
  "hub-durable",
  "stream",
  "stream-durable",
  "floor",
  "ws",
];
