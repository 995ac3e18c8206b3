/**
 * What the name of a hub target says about the way it is used, also that of a variant: `stream…` with
 * sockets of `wspubsub.v1`, `…-durable` in a domain with a durable log.
 */
import type { Measurement } from "../step.ts";
import { BROADCAST } from "./target.ts";

export interface HubKind {
  readonly isStream: boolean;
  readonly isDurable: boolean;
  readonly measurements: readonly Measurement[];
}

export function hubKindOf(name: string): HubKind {
  const isStream = name.startsWith("stream");
  const isDurable = name.endsWith("-durable");
  return { isStream, isDurable, measurements: measurementsOf(isStream, isDurable) };
}

/** The target of this checkout that is used in the same way as a variant. */
export function baselineOf(variant: string): string {
  const { isStream, isDurable } = hubKindOf(variant);
  return `${isStream ? "stream" : "hub"}${isDurable ? "-durable" : ""}`;
}

function measurementsOf(isStream: boolean, isDurable: boolean): readonly Measurement[] {
  // Raw publishers get no acks, and raw subscribers no cursors to come back with.
  if (isStream) {
    return isDurable
      ? ["latency", "history", "join", "storm", "ingest", "throughput"]
      : [...BROADCAST, "storm"];
  }
  return isDurable ? ["join"] : [...BROADCAST, "connect", "post", "kick", "flood", "ends"];
}
