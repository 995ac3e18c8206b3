/** What the tests of a log and of its parts share: an object's real storage, and what is put there. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Batch } from "../../../src/delivery/batch.ts";

/** A Thursday in 2026; the log has no clock of its own. */
export const START_MS = 1_780_000_000_000;

/** Runs a test on the storage of an object that nobody else uses. */
export function onStorage(
  run: (storage: DurableObjectStorage) => void | Promise<void>,
): Promise<void> {
  const object = env.TOPIC.getByName(`test/${crypto.randomUUID()}`);
  return runInDurableObject(object, (_, { storage }) => run(storage));
}

/** Numbers as messages. */
export function numbers(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, n) => String(first + n));
}

/** A batch in which each message is its offset. */
export function batchOf(first: number, last: number, atMs: number = START_MS): Batch {
  return Batch.ofMessages({ epoch: "epoch0000000", first, last, atMs }, numbers(first, last));
}

/** Counts the rows that everything written through SQL costs. */
export function countRowsWritten({ sql }: DurableObjectStorage): () => number {
  const exec = sql.exec.bind(sql);
  let rows = 0;
  Object.defineProperty(sql, "exec", {
    value: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      rows += cursor.rowsWritten;
      return cursor;
    },
  });
  return () => rows;
}

/** Lets every statement fail from now on, as of a disk that is full or does not answer. */
export function breakSql({ sql }: DurableObjectStorage): void {
  Object.defineProperty(sql, "exec", {
    value: () => {
      throw new Error("disk I/O error: SQLITE_IOERR");
    },
  });
}
