/**
 * What storage knows of a log beside its rows: where it was, and what it keeps. Parsed, never cast, since an older
 * deploy may have written it. Knows one key of storage.
 */
import * as v from "valibot";
import { END_REASONS, type EndReason } from "../core/end-reason.ts";
import { HistoryBoundsSchema, type HistoryBounds } from "./history-bounds.ts";
import { PublishedIdsSchema, type PublishedId } from "./recent-ids.ts";
import type { RowPlace } from "./row-times.ts";

/** What must outlive memory for a log that is not durable to go on without a false gap. */
export interface LogPosition {
  readonly epoch: string;
  /** The offset of the last message, 0 before the first. */
  readonly offset: number;
  /** When it was published; milliseconds since the epoch. */
  readonly atMs: number;
  readonly ids: readonly PublishedId[];
}

/** Validates a position that comes from an attachment or from storage. */
export const LogPositionSchema: v.GenericSchema<unknown, LogPosition> = v.object({
  epoch: v.string(),
  offset: v.number(),
  atMs: v.number(),
  ids: PublishedIdsSchema,
});

/** What is stored. */
export interface LogMeta {
  readonly v: 1;
  /** Where a log ended when it was stored, with all its ids up to there: a durable one goes on in its rows. */
  readonly position: LogPosition;
  /** `null`: not durable. */
  readonly history: HistoryBounds | null;
  /** When a topic without publisher loses its log; milliseconds since the epoch. */
  readonly keepUntilMs: number | null;
  /** How the life ended in which it was last written, `null` while it is not over, and from a version before. */
  readonly ended: EndReason | null;
  /** By the key store's clock; 0 where version 0.1 stored it. */
  readonly policyAtMs: number;
  /** What must be known of the rows' times beside the rows; `null` where a version stored it that let times go back. */
  readonly corrections: readonly RowPlace[] | null;
}

const KEY = "log";

const LogMetaSchema: v.GenericSchema<unknown, LogMeta> = v.object({
  v: v.literal(1),
  position: LogPositionSchema,
  history: v.nullable(HistoryBoundsSchema),
  keepUntilMs: v.nullable(v.number()),
  ended: v.optional(v.nullable(v.picklist(END_REASONS)), null),
  policyAtMs: v.optional(v.number(), 0),
  corrections: v.optional(
    v.nullable(v.array(v.object({ last: v.number(), atMs: v.number() }))),
    null,
  ),
});

/** Reads what is stored; `null` where nothing is, or what another version wrote. */
export function loadLogMeta({ kv }: DurableObjectStorage): LogMeta | null {
  const meta = v.safeParse(LogMetaSchema, kv.get(KEY));
  return meta.success ? meta.output : null;
}

/** Writes it. */
export function storeLogMeta({ kv }: DurableObjectStorage, meta: LogMeta): void {
  kv.put(KEY, meta);
}

/** Makes sure that nothing is stored. */
export function deleteLogMeta({ kv }: DurableObjectStorage): void {
  kv.delete(KEY);
}
