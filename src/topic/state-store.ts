/**
 * Keeps a topic's state in the object's storage, so that it survives eviction and restarts. A vacant
 * topic stores nothing at all: the runtime then forgets the object.
 */
import * as v from "valibot";
import { TopicStateSchema, VACANT, type TopicState } from "../core/topic-state.ts";

const KEY = "state";

const StoredSchema = v.object({ v: v.literal(1), state: TopicStateSchema });

/** Reads the state; one that an unknown version wrote counts as vacant, and clients reconnect. */
export function loadState(storage: DurableObjectStorage): TopicState {
  const parsed = v.safeParse(StoredSchema, storage.kv.get(KEY));
  return parsed.success ? parsed.output.state : VACANT;
}

/** Writes the state; answers that follow wait for it at the output gate. */
export function storeState(storage: DurableObjectStorage, state: TopicState): void {
  if (state.phase === "vacant") void storage.deleteAll();
  else storage.kv.put(KEY, { v: 1, state });
}
