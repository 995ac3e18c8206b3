/**
 * Keeps a topic's state in the object's storage, so that it survives eviction and restarts. That of a
 * vacant topic is that there is none.
 */
import * as v from "valibot";
import { TopicStateSchema, VACANT, type TopicState } from "../core/topic-state.ts";

const KEY = "state";

const StoredSchema = v.object({ v: v.literal(1), state: TopicStateSchema });

/** Reads the state; `null` for one that another version wrote. */
export function loadState(storage: DurableObjectStorage): TopicState | null {
  const stored = storage.kv.get(KEY);
  if (stored === undefined) return VACANT;
  const parsed = v.safeParse(StoredSchema, stored);
  return parsed.success ? parsed.output.state : null;
}

/** Writes the state; answers that follow wait for it at the output gate. */
export function storeState(storage: DurableObjectStorage, state: TopicState): void {
  if (state.phase === "vacant") storage.kv.delete(KEY);
  else storage.kv.put(KEY, { v: 1, state });
}
