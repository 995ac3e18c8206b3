/** Logs on an object's real storage: opened, appended to, read. */
import { expect } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { Log } from "../../../src/topic/log.ts";
import type { Publication } from "../../../src/topic/publication.ts";
import { START_MS } from "./log-storage.ts";

/** Opens the log of a storage, as a topic with this policy does. */
export function openLog(storage: DurableObjectStorage, policy: Partial<Policy> = {}): Log {
  const log = new Log(storage);
  log.load(true);
  log.configure({ ...DEFAULT_POLICY, ...policy }, START_MS);
  return log;
}

/** Publications of one raw message each. */
export function raw(...messages: Message[]): Publication[] {
  return messages.map((message) => ({ messages: [message], receipt: null }));
}

/** Everything after an offset, read as a replay reads it. */
export function readAll(log: Log, offset: number): Message[] {
  const messages: Message[] = [];
  let batch = log.read(offset);
  while (batch instanceof Batch) {
    expect(batch.place.first).toBe(offset + messages.length + 1);
    messages.push(...batch.messages);
    batch = log.read(batch.place.last);
  }
  return messages;
}

/** The offset after which the first message comes that may be asked for. */
export function earliest(log: Log, nowMs: number): number {
  return log.resume({ type: "earliest" }, nowMs).cursor.offset;
}

/** Where somebody begins who wants the last so many seconds. */
export function begins(log: Log, seconds: number, nowMs: number): number {
  return log.resume({ type: "duration", ms: seconds * 1000 }, nowMs).cursor.offset;
}

/** The offsets of the first messages of the batches in the rows, one a row. */
export function rowsOf({ sql }: DurableObjectStorage): number[] {
  const rows = sql.exec<{ id: number }>("select id from log order by id").toArray();
  return rows.map(({ id }) => Math.floor(id / 512));
}
