/** What a topic's object has stored. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Topic } from "../../../src/topic/topic.ts";

/** What is stored: keys, and tables with messages. */
export interface Stored {
  readonly keys: readonly string[];
  readonly tables: readonly unknown[];
}

export const NOTHING: Stored = { keys: [], tables: [] };

/** Looks into a topic's storage. */
export function storedIn(topic: DurableObjectStub<Topic>): Promise<Stored> {
  // One that has ended leaves memory, and its stub is of no use then.
  return runInDurableObject(env.TOPIC.get(topic.id), (_, { storage }) => ({
    keys: [...storage.kv.list()].map(([key]) => key),
    tables: storage.sql.exec("select name from sqlite_master where name like '%log%'").toArray(),
  }));
}
