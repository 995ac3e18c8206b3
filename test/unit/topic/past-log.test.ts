/** The log of a life that is over, beside the log that goes on. */
import { expect, test } from "vitest";
import { Batch } from "../../../src/delivery/batch.ts";
import { PastLog } from "../../../src/topic/past-log.ts";

const READER = {};

/** A log that tells what it is asked to keep, and what it has, of which a past log sees less. */
function createLog(messages: readonly string[]): {
  log: ConstructorParameters<typeof PastLog>[0] & {
    head: { epoch: string; offset: number };
    forgottenAt: { epoch: string; offset: number } | null;
  };
  history: ConstructorParameters<typeof PastLog>[1] & { first: number | null };
  kept: number[];
} {
  const kept: number[] = [];
  const log = {
    head: { epoch: "one", offset: messages.length },
    forgottenAt: null,
    keepBehind: (offset: number) => void kept.push(offset),
  };
  const history = {
    first: 1 as number | null,
    after: ({ epoch, offset }: { epoch: string; offset: number }): Batch[] => {
      const place = { epoch, first: 1, last: log.head.offset, atMs: 0 };
      const all = Array.from({ length: log.head.offset }, (_, n) => messages[n] ?? "later");
      return offset < log.head.offset ? [Batch.ofMessages(place, all).after(offset)] : [];
    },
  };
  return { log, history, kept };
}

test("5.9 what is published later is not seen, though it is read together with what was", () => {
  const { log, history } = createLog(["a", "b", "c"]);
  const past = new PastLog(log, history);
  log.head = { epoch: "one", offset: 5 };
  const read = past.read(1);
  expect(read).toMatchObject({ messages: ["b", "c"], place: { first: 2, last: 3 } });
  expect(past.read(3)).toBeNull();
  expect(past.head).toEqual({ epoch: "one", offset: 3 });
});

test("5.9 what cannot be read any more ends with it, and is never passed over in silence", () => {
  const { log, history } = createLog(["a", "b", "c"]);
  const past = new PastLog(log, { first: null, after: () => [] });
  expect(past.gone).toBe(3);
  expect(past.read(1)).toBe(3);
  expect(new PastLog(log, { ...history, first: 2 }).gone).toBe(1);
  expect(new PastLog(log, { ...history, first: 9 }).gone).toBe(3);
  expect(new PastLog(log, { ...history, after: () => 2 }).read(0)).toBe(2);
  expect(new PastLog(log, { ...history, after: () => Infinity }).read(0)).toBe(3);
});

test("9.5 its readers keep what they need of the same epoch, and nothing of the next", () => {
  const { log, history, kept } = createLog(["a", "b", "c"]);
  const past = new PastLog(log, history);
  past.keepBehind(1, READER);
  log.head = { epoch: "two", offset: 0 };
  past.keepBehind(2, READER);
  expect(kept).toEqual([1]);
});

test("15.11 what is forgotten is nowhere, and what it was read of begins anew", () => {
  const { log, history, kept } = createLog(["a", "b", "c"]);
  log.forgottenAt = { epoch: "zero", offset: 0 };
  const past = new PastLog(log, history);
  expect(past.read(1)).not.toBeNull();
  // That it begins at 0 is the log's affair.
  const next = { epoch: "two", offset: 5 };
  log.forgottenAt = next;
  log.head = { epoch: "two", offset: 9 };
  expect(past.read(1)).toBeNull();
  expect(past.read(0)).toBeNull();
  expect([past.head, past.gone]).toEqual([next, 5]);
  // Its readers hold what they held until they let go of it.
  past.keepBehind(Infinity, READER);
  expect(kept).toEqual([Infinity]);
});
