/** The log on an object's real storage: what it keeps, where it answers from, and what it costs. */
import { describe, expect, test } from "vitest";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import type { Message } from "../../../src/core/message.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { LogRows } from "../../../src/topic/log-rows.ts";
import { Log } from "../../../src/topic/log.ts";
import type { Publication } from "../../../src/topic/publication.ts";
import { countRowsWritten, numbers, onStorage, START_MS } from "../support/log-storage.ts";
import { earliest, openLog, raw, readAll } from "../support/logs.ts";

/** Who is replayed to. */
const READER = {};

function publish(id: string, ...messages: Message[]): Publication {
  return { messages, receipt: { name: { owner: 1, id, fingerprint: 7 }, ack: () => {} } };
}

/** Appends so many batches, of raw messages. */
function append(log: Log, batches: number, nowMs: number): void {
  for (let n = 0; n < batches; n++) log.append(raw("x"), nowMs);
}

describe("a log without history", () => {
  test("9.3 remembers the last messages, and writes nothing", () =>
    onStorage((storage) => {
      const rowsWritten = countRowsWritten(storage);
      const log = openLog(storage);
      for (let n = 1; n <= 2000; n++) log.append(raw(String(n)), START_MS);
      expect(log.head.offset).toBe(2000);
      expect(earliest(log, START_MS)).toBe(976);
      expect(readAll(log, 976)).toEqual(numbers(977, 2000));
      expect(rowsWritten()).toBe(0);
      expect([...storage.kv.list()]).toEqual([]);
    }));

  test("9.3 is bounded in size, too, but keeps the last batch", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      const large = "x".repeat(700_000);
      for (let n = 0; n < 3; n++) log.append(raw(large), START_MS);
      expect(earliest(log, START_MS)).toBe(2);
      log.append(raw("y".repeat(3_000_000)), START_MS);
      expect(earliest(log, START_MS)).toBe(3);
    }));

  test("9.9 goes on from its position, which outlives memory", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append([publish("a", "1", "2")], START_MS);
      const later = new Log(storage);
      later.restore(log.position);
      expect(later.head).toEqual(log.head);
      expect(later.find(1, "a")?.cursor).toEqual(log.head);
      const resumed = later.resume({ type: "cursor", cursor: log.head }, START_MS);
      expect(resumed).toEqual({ cursor: log.head, gapFrom: null });
      // Nothing was published for longer than what is asked for.
      expect(later.resume({ type: "duration", ms: 1000 }, START_MS + 1001).gapFrom).toBeNull();
      expect(later.resume({ type: "duration", ms: 1000 }, START_MS + 999).gapFrom).not.toBeNull();
    }));

  test("10.9 goes on with the last 128 ids: more would not fit an attachment", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      for (let n = 1; n <= 129; n++) log.append([publish(`id${n}`, "x")], START_MS);
      log.store();
      const later = openLog(storage);
      expect(later.find(1, "id1")).toBeNull();
      expect(later.find(1, "id2")?.cursor).toEqual({ ...log.head, offset: 2 });
      expect(later.position).toEqual(log.position);
    }));

  test("9.9 does not go on from a place that may not be true", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw("x"), START_MS);
      log.store();
      const later = new Log(storage);
      later.load(false);
      expect(later.head.epoch).not.toBe(log.head.epoch);
      expect(later.head.offset).toBe(0);
    }));

  test("9.1 what was read of an epoch is not read of the next one", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw("old"), START_MS);
      expect(readAll(log, 0)).toEqual(["old"]);
      log.reset();
      log.append(raw("new"), START_MS);
      expect(readAll(log, 0)).toEqual(["new"]);
    }));

  test("9.1 after a loss it is another epoch", () =>
    onStorage((storage) => {
      const before = openLog(storage).head;
      expect(openLog(storage).head.epoch).not.toBe(before.epoch);
    }));
});

describe("a durable log", () => {
  test("9.2 is read back by whoever comes next", () =>
    onStorage((storage) => {
      const bytes = new Uint8Array([0, 255, 128]).buffer;
      const log = openLog(storage, { historyMessages: 100 });
      log.append(raw("a", "", bytes, '😀"\n'), START_MS);
      log.append([publish("id", "b", bytes)], START_MS + 1);
      const later = openLog(storage, { historyMessages: 100 });
      expect(later.head).toEqual(log.head);
      expect(readAll(later, 0)).toEqual(["a", "", bytes, '😀"\n', "b", bytes]);
      expect(readAll(later, 2)).toEqual([bytes, '😀"\n', "b", bytes]);
      expect(later.find(1, "id")?.cursor).toEqual(log.head);
    }));

  test("10.4 has the list that a publish came with, and writes those that have none", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10 });
      const one: Publication = { ...publish("1", "a", "b"), list: '["a", "b"]' };
      const other: Publication = { ...publish("2", "c"), list: '[ "c"]' };
      const repeated: Publication = { ...publish("2"), messages: [] };
      const lists = [
        [one],
        [repeated, one, repeated, other],
        [...raw("d"), one],
        [one, ...raw("d")],
      ];
      const batches = lists.map((publications) => log.append(publications, START_MS)?.list);
      // Spaces, which the hub does not write, tell the two apart.
      expect(batches).toEqual(['["a", "b"]', '["a", "b", "c"]', '["d","a","b"]', '["a","b","d"]']);
      const read = readAll(openLog(storage, { historyMessages: 10 }), 0);
      expect(read).toEqual(["a", "b", "a", "b", "c", "d", "a", "b", "a", "b", "d"]);
    }));

  test("9.2 takes messages larger than a row, whatever JSON makes of them", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100 });
      const messages = [
        "\u0001".repeat(1_000_000),
        "😀".repeat(700_000),
        new Uint8Array(3_000_000).fill(7).buffer,
        "small",
      ];
      log.append(raw(...messages), START_MS);
      log.append(raw("next"), START_MS);
      const later = openLog(storage, { historyMessages: 100 });
      expect(readAll(later, 0)).toEqual([...messages, "next"]);
      expect(readAll(later, 3)).toEqual(["small", "next"]);
    }));

  test("9.2 keeps the last messages, exactly", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10 });
      for (let n = 1; n <= 97; n += 3) log.append(raw(...numbers(n, n + 2)), START_MS);
      expect(log.head.offset).toBe(99);
      expect(earliest(log, START_MS)).toBe(89);
      expect(readAll(openLog(storage, { historyMessages: 10 }), 89)).toEqual(numbers(90, 99));
    }));

  test("9.2 keeps nothing that is too old, and its place when all is", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historySeconds: 60 });
      for (let n = 1; n <= 10; n++) log.append(raw(String(n)), START_MS + n * 10_000);
      const nowMs = START_MS + 100_000;
      expect(earliest(log, nowMs)).toBe(3);
      expect(readAll(log, 3)).toEqual(numbers(4, 10));
      log.expire(nowMs);
      expect(storage.sql.exec("select id from log").toArray()).toHaveLength(7);
      log.expire(nowMs + 3_600_000);
      expect(storage.sql.exec("select id from log").toArray()).toHaveLength(0);
      expect(openLog(storage, { historySeconds: 60 }).head).toEqual(log.head);
      expect(log.nextExpiryMs).toBeNull();
    }));

  test("9.2 costs a row a batch, also while it forgets", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100 });
      for (let n = 0; n < 20; n++) log.append(raw(...numbers(1, 10)), START_MS);
      const rowsWritten = countRowsWritten(storage);
      for (let n = 0; n < 50; n++) log.append(raw(...numbers(1, 10)), START_MS);
      expect(rowsWritten()).toBe(50);
      expect(storage.sql.exec("select id from log").toArray().length).toBeLessThanOrEqual(12);
    }));

  test("9.2 deletes rows when batches grow and overwriting is not enough", () =>
    expectReached("rows-trimmed", () =>
      onStorage((storage) => {
        const log = openLog(storage, { historyMessages: 2000 });
        for (let n = 0; n < 2000; n++) log.append(raw("x"), START_MS);
        for (let n = 0; n < 10; n++) log.append(raw(...numbers(1, 1000)), START_MS);
        expect(storage.sql.exec("select id from log").toArray().length).toBeLessThanOrEqual(4);
        expect(readAll(log, earliest(log, START_MS))).toHaveLength(2000);
      }),
    ));

  test("9.5 keeps nothing of the next epoch for those who read the last one", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10 });
      log.append(raw("a"), START_MS);
      log.keepBehind(0, READER);
      log.end(true, "abandoned");
      log.configure({ ...DEFAULT_POLICY, historyMessages: 10 }, 0);
      for (let n = 1; n <= 2000; n++) log.append(raw(String(n)), START_MS);
      expect(log.gone).toBeGreaterThan(1900);
    }));

  test("9.5 keeps what is being replayed, and nobody else may ask for it", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10, historySeconds: 60 });
      for (let n = 1; n <= 10; n++) log.append(raw(String(n)), START_MS);
      const [reader, other] = [{}, {}];
      log.keepBehind(4, reader);
      log.keepBehind(7, other);
      log.keepBehind(Infinity, other);
      const nowMs = START_MS + 61_000;
      for (let n = 11; n <= 2000; n++) log.append(raw(String(n)), nowMs);
      log.expire(nowMs);
      expect(log.gone).toBe(4);
      expect(readAll(log, 4)).toEqual(numbers(5, 2000));
      expect(earliest(log, nowMs)).toBe(1990);
      log.keepBehind(Infinity, reader);
      for (let n = 1; n <= 10; n++) log.append(raw(String(n)), nowMs);
      expect(log.gone).toBeGreaterThanOrEqual(1990);
    }));

  test("10.9 keeps the ids of more publishes than messages", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 1 });
      for (let n = 1; n <= 1500; n++) log.append([publish(`id-${n}`, String(n))], START_MS);
      const later = openLog(storage, { historyMessages: 1 });
      expect(readAll(later, earliest(later, START_MS))).toEqual(["1500"]);
      expect(later.find(1, "id-501")?.cursor).toEqual({ ...log.head, offset: 501 });
      expect(later.find(1, "id-500")).toBeNull();
    }));

  test.each([
    ["deleted", (log: Log) => log.expire(START_MS + 3_600_000)],
    ["overwritten", (log: Log) => append(log, 5, START_MS + 3_600_000)],
  ])("10.9 keeps the ids of publishes whose rows are %s for their age", (_, age) =>
    onStorage((storage) => {
      const history = { historySeconds: 60 };
      const log = openLog(storage, history);
      for (let n = 1; n <= 1001; n++) log.append([publish(`id${n}`, "x")], START_MS);
      age(log);
      const later = openLog(storage, history);
      expect(later.find(1, "id1")).toBeNull();
      for (let n = 2; n <= 1001; n++) expect(later.find(1, `id${n}`)?.cursor.offset).toBe(n);
    }),
  );

  test("9.5 keeps what is being replayed though it is too old, and wakes for nothing", () =>
    expectReached("expiry-waits-for-reader", () =>
      onStorage((storage) => {
        const log = openLog(storage, { historySeconds: 60 });
        for (const message of numbers(1, 5)) log.append(raw(message), START_MS);
        log.keepBehind(3, READER);
        log.expire(START_MS + 60_001);
        expect(log.gone).toBe(3);
        expect(log.nextExpiryMs).toBeNull();
        log.keepBehind(4, READER);
        expect(log.nextExpiryMs).toBe(START_MS + 90_000);
      }),
    ));

  test("9.5 keeps the row that is being replayed when others are overwritten", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 1 });
      log.keepBehind(1, READER);
      for (const message of numbers(1, 9)) log.append(raw(message), START_MS);
      expect(readAll(openLog(storage, { historyMessages: 1 }), 1)).toEqual(numbers(2, 9));
    }));

  test("9.2 knows after a restart where it was, and when", () =>
    expectReached("rows-newer-than-meta", () =>
      onStorage((storage) => {
        const log = openLog(storage, { historyMessages: 10 });
        append(log, 3, START_MS);
        const later = openLog(storage, { historyMessages: 10 });
        const since = { type: "duration", ms: 1000 } as const;
        expect(later.resume(since, START_MS + 1000).cursor.offset).toBe(0);
        expect(later.resume(since, START_MS + 1001).cursor.offset).toBe(3);
      }),
    ));

  test("9.1 never goes back behind the place that is stored", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10 });
      append(log, 3, START_MS);
      log.store();
      storage.sql.exec("delete from log where last > 1");
      expect(openLog(storage, { historyMessages: 10 }).head).toEqual(log.head);
    }));

  test("9.6 storage that does not answer: nothing can be read up to the head", () =>
    expectReached("rows-do-not-answer", () =>
      onStorage((storage) => {
        append(openLog(storage, { historyMessages: 10 }), 3, START_MS);
        const later = openLog(storage, { historyMessages: 10 });
        storage.sql.exec("drop table log");
        expect(later.read(0)).toBe(3);
      }),
    ));

  test("9.8 leaves nothing behind when it ends without an age", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10 });
      const { epoch } = log.head;
      log.append(raw("a"), START_MS);
      log.end(false, "abandoned");
      expect(log.retire(START_MS)).toBeNull();
      expect([...storage.kv.list()]).toEqual([]);
      expect(log.head.offset).toBe(0);
      expect(log.head.epoch).not.toBe(epoch);
    }));

  test("9.8 outlives the topic by its age", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 10, historySeconds: 60 });
      log.append(raw("a"), START_MS);
      log.end(false, "abandoned");
      expect(log.retire(START_MS)).toBe(START_MS + 60_000);
      expect(log.isOver(START_MS + 59_999)).toBe(false);
      expect(log.isOver(START_MS + 60_000)).toBe(true);
      expect(readAll(openLog(storage, { historySeconds: 60 }), 0)).toEqual(["a"]);
    }));

  test("9.9 a policy that switches history on or off keeps the epoch", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw("1"), START_MS);
      const { epoch } = log.head;
      log.configure({ ...DEFAULT_POLICY, historyMessages: 5 }, START_MS);
      log.append(raw("2"), START_MS);
      expect(openLog(storage, { historyMessages: 5 }).head).toEqual({ epoch, offset: 2 });
      log.configure(DEFAULT_POLICY, START_MS);
      log.append(raw("3"), START_MS);
      expect(log.head).toEqual({ epoch, offset: 3 });
      expect([...storage.kv.list()]).toEqual([]);
    }));
});

describe("a policy", () => {
  const history = { ...DEFAULT_POLICY, historyMessages: 5 };

  test("9.9 that switches history on and off keeps the last messages, and the ids", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append([publish("1", "1")], START_MS);
      log.configure(history, START_MS);
      log.append([publish("2", "2")], START_MS);
      log.configure(DEFAULT_POLICY, START_MS);
      log.append([publish("3", "3")], START_MS);
      expect(readAll(log, 0)).toEqual(["1", "2", "3"]);
      for (const id of ["1", "2", "3"]) expect(log.find(1, id)?.cursor.offset).toBe(Number(id));
    }));

  test("9.2 that changes the bounds keeps the rows, and waits for who is replayed to", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 5 });
      append(log, 5, START_MS);
      log.keepBehind(2, READER);
      log.configure({ ...history, historyMessages: 1 }, START_MS);
      append(log, 5, START_MS);
      expect(log.gone).toBe(2);
      expect(earliest(log, START_MS)).toBe(9);
    }));

  test("writes nothing where it changes nothing", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 5 });
      log.forgetStored();
      log.configure(history, START_MS + 1);
      expect([...storage.kv.list()]).toEqual([]);
      expect(log.policyAtMs).toBe(START_MS + 1);
    }));

  test("is dated while it keeps something, and after a restart", () =>
    onStorage((storage) => {
      expect(openLog(storage).policyAtMs).toBe(0);
      openLog(storage, { historyMessages: 5 });
      const later = new Log(storage);
      later.load(true);
      expect(later.policyAtMs).toBe(START_MS);
    }));

  test("9.8 that keeps nothing ends the time of a log without publisher, which outlives a restart", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 5 });
      expect(log.retire(START_MS)).toBe(START_MS + 86_400_000);
      const later = openLog(storage, { historyMessages: 5 });
      expect(later.keepUntilMs).toBe(START_MS + 86_400_000);
      later.configure(DEFAULT_POLICY, START_MS);
      expect(later.keepUntilMs).toBeNull();
      expect(later.isOver(START_MS + 86_400_000)).toBe(false);
    }));
});

describe.each([
  { name: "in memory", policy: {}, first: 977 },
  { name: "durable", policy: { historyMessages: 1024 }, first: 977 },
])("resume, $name", ({ policy, first }) => {
  function resume(run: (log: Log, epoch: string) => void): Promise<void> {
    return onStorage((storage) => {
      const log = openLog(storage, policy);
      for (let n = 1; n <= 2000; n++) log.append(raw(String(n)), START_MS + n * 1000);
      run(log, log.head.epoch);
    });
  }
  const nowMs = START_MS + 2_000_000;
  const before = first - 1;

  test("9.4 from a cursor that the log still reaches", () =>
    resume((log, epoch) => {
      for (const offset of [before, 1500, 2000]) {
        const cursor = { epoch, offset };
        expect(log.resume({ type: "cursor", cursor }, nowMs)).toEqual({ cursor, gapFrom: null });
      }
    }));

  test("9.6 from a cursor that it does not reach any more", () =>
    resume((log, epoch) => {
      const cursor = { epoch, offset: before - 1 };
      expect(log.resume({ type: "cursor", cursor }, nowMs)).toEqual({
        cursor: { epoch, offset: before },
        gapFrom: cursor,
      });
    }));

  test("9.6 from a cursor of another epoch", () =>
    expectReached("cursor-of-elsewhere", () =>
      resume((log, epoch) => {
        const cursor = { epoch: "000000000000", offset: 1999 };
        expect(log.resume({ type: "cursor", cursor }, nowMs)).toEqual({
          cursor: { epoch, offset: before },
          gapFrom: cursor,
        });
      }),
    ));

  test("9.6 from a cursor ahead of the log: from its end on, with an empty gap", () =>
    resume((log, epoch) => {
      const head = { epoch, offset: 2000 };
      expect(log.resume({ type: "cursor", cursor: { epoch, offset: 2001 } }, nowMs)).toEqual({
        cursor: head,
        gapFrom: head,
      });
    }));

  test("9.4 from the earliest, which is no gap", () =>
    resume((log, epoch) => {
      expect(log.resume({ type: "earliest" }, nowMs)).toEqual({
        cursor: { epoch, offset: before },
        gapFrom: null,
      });
    }));

  test("9.4 9.6 from the last N", () =>
    resume((log, epoch) => {
      expect(log.resume({ type: "last", count: 5 }, nowMs)).toEqual({
        cursor: { epoch, offset: 1995 },
        gapFrom: null,
      });
      expect(log.resume({ type: "last", count: 5000 }, nowMs)).toEqual({
        cursor: { epoch, offset: before },
        gapFrom: { epoch, offset: 0 },
      });
    }));

  test("9.4 9.6 from a duration", () =>
    resume((log, epoch) => {
      // Message n was published n seconds after the start: 1990 to 2000 are within the last ten.
      expect(log.resume({ type: "duration", ms: 10_000 }, nowMs)).toEqual({
        cursor: { epoch, offset: 1989 },
        gapFrom: null,
      });
      expect(log.resume({ type: "duration", ms: 10_000 }, nowMs + 60_000)).toEqual({
        cursor: { epoch, offset: 2000 },
        gapFrom: null,
      });
      const { cursor, gapFrom } = log.resume({ type: "duration", ms: 2_000_000 }, nowMs);
      expect(cursor).toEqual({ epoch, offset: before });
      expect(gapFrom?.offset).toBeLessThan(before);
    }));
});

test("9.4 a log shorter than what is asked for has no gap", () =>
  onStorage((storage) => {
    const log = openLog(storage, { historyMessages: 10 });
    log.append(raw("1", "2"), START_MS);
    const cursor = { ...log.head, offset: 0 };
    for (const since of [
      { type: "last", count: 5 },
      { type: "duration", ms: 60_000 },
      { type: "earliest" },
    ] as const) {
      expect(log.resume(since, START_MS)).toEqual({ cursor, gapFrom: null });
    }
  }));

test("9.4 what went by its age is no gap for who asks for less", () =>
  onStorage((storage) => {
    const log = openLog(storage, { historySeconds: 60 });
    for (let n = 1; n <= 10; n++) log.append(raw(String(n)), START_MS + n * 10_000);
    const nowMs = START_MS + 100_000;
    const { cursor, gapFrom } = log.resume({ type: "duration", ms: 60_000 }, nowMs);
    expect(cursor.offset).toBe(3);
    expect(gapFrom).toBeNull();
  }));

test.each([
  ["ASCII", "a".repeat(32 * 1024)],
  ["non-ASCII", `${"€".repeat((32 * 1024) / 3)}aa`],
])("9.5 a replay reads 128 KiB at a time, %s", (_, text) =>
  onStorage((storage) => {
    const log = openLog(storage, { historyMessages: 100 });
    for (let n = 1; n <= 10; n++) log.append(raw(text), START_MS);
    // Out of memory, and out of the rows.
    for (const reader of [log, openLog(storage, { historyMessages: 100 })]) {
      const batch = reader.read(0);
      expect(batch instanceof Batch && batch.messages.length).toBe(4);
    }
    // No more rows than it takes.
    expect(new LogRows(storage, []).after(0, 128 * 1024, log.head.epoch)).toHaveLength(4);
  }),
);

describe("a log that forgets", () => {
  test("15.11 holds what its readers held until they let go, not less", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 2 });
      append(log, 3, START_MS);
      log.keepBehind(1, READER);
      log.forget({ goesOn: true });
      // Who comes now relies on what the replay has held all the time.
      append(log, 2000, START_MS);
      expect(readAll(log, 1)).toHaveLength(1999);
      log.keepBehind(Infinity, READER);
      append(log, 2000, START_MS);
      expect(log.gone).toBeGreaterThan(1);
    }));

  test("15.11 has in rows what memory alone had before it had to", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      append(log, 3000, START_MS);
      log.configure({ ...DEFAULT_POLICY, historyMessages: 9000 }, START_MS);
      log.forget({ goesOn: true });
      append(log, 1500, START_MS);
      expect(earliest(log, START_MS)).toBe(0);
      expect(readAll(log, 0)).toHaveLength(1500);
    }));

  test("15.11 costs what is stored of it, however many rows go", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 9000 });
      append(log, 2000, START_MS);
      const rowsWritten = countRowsWritten(storage);
      log.forget({ goesOn: true });
      expect(rowsWritten()).toBeLessThan(5);
      expect(earliest(log, START_MS)).toBe(0);
    }));

  test.each([{ historyMessages: 9 }, {}])("15.11 tells each time by another place: %j", (policy) =>
    onStorage((storage) => {
      const log = openLog(storage, policy);
      expect(log.forgottenAt).toBeNull();
      append(log, 2, START_MS);
      const { epoch } = log.head;
      log.forget({ goesOn: true });
      const first = log.forgottenAt;
      expect(first).toEqual(log.head);
      // Nor when anything was published last.
      expect(log.position).toEqual({ ...first, offset: 0, atMs: 0, ids: [] });
      expect(first?.epoch).not.toBe(epoch);
      expect([log.isDurable, log.countReadable(START_MS)]).toEqual([
        "historyMessages" in policy,
        0,
      ]);
      log.forget({ goesOn: false });
      expect(log.forgottenAt).not.toEqual(first);
      expect(log.isDurable).toBe(false);
    }),
  );
});
