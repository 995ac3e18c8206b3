/** PROTOCOL.md, 10.9, on an object's real storage: which ids outlive memory, what they cost, and what they hold up. */
import { describe, expect, test } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Publication } from "../../../src/topic/publication.ts";
import type { Log } from "../../../src/topic/log.ts";
import { onStorage, START_MS } from "../support/log-storage.ts";
import { openLog as openAnyLog, raw } from "../support/logs.ts";

const HISTORY: Partial<Policy> = { historyMessages: 10 };
/** As long as an id may be, and as JSON makes most of it. */
const LONGEST_ID = '"'.repeat(59);

function openLog(storage: DurableObjectStorage, policy: Partial<Policy> = HISTORY): Log {
  return openAnyLog(storage, policy);
}

function publish(id: string, message: Message, owner = 1, fingerprint = 7): Publication {
  return { messages: [message], receipt: { name: { owner, id, fingerprint }, ack: () => {} } };
}

function rowsIn({ sql }: DurableObjectStorage): number {
  return sql.exec<{ count: number }>("select count(*) as count from log").one().count;
}

/** Counts the rows of the log that are written, and how often the ids are stored beside them. */
function countWritten({ sql, kv }: DurableObjectStorage): { rows: number; stores: number } {
  const counted = { rows: 0, stores: 0 };
  const exec = sql.exec.bind(sql);
  const put = kv.put.bind(kv);
  Object.defineProperty(sql, "exec", {
    value: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      counted.rows += cursor.rowsWritten;
      return cursor;
    },
  });
  Object.defineProperty(kv, "put", {
    value: (...args: Parameters<typeof put>) => {
      counted.stores += 1;
      put(...args);
    },
  });
  return counted;
}

describe("10.9 ids of a durable log", () => {
  test("outlive a restart, however much lies behind them", () =>
    onStorage((storage) => {
      const policy = { historyMessages: 100_000 };
      const log = openLog(storage, policy);
      log.append([publish("order-4711", "x")], START_MS);
      for (let n = 0; n < 3230; n++) log.append(raw("x", "y", "z"), START_MS);
      expect(openLog(storage, policy).find(1, "order-4711")).toEqual({
        fingerprint: 7,
        cursor: { ...log.head, offset: 1 },
      });
    }));

  test("come back whenever the hub restarts, with owner and content", () =>
    onStorage((storage) => {
      let log = openLog(storage);
      for (let n = 1; n <= 1200; n++) {
        log.append([publish("id", "x", n, n * 2), publish(`id-${n}`, "y", 0)], START_MS);
        if (n % 97 !== 0) continue;
        log = openLog(storage);
        for (let owner = 1; owner <= n; owner++) {
          expect(log.find(owner, "id")?.fingerprint).toBe(owner * 2);
        }
        expect(log.find(0, `id-${n}`)?.cursor).toEqual(log.head);
        expect(log.find(1, `id-${n}`)).toBeNull();
      }
    }));

  test("keep no row that the policy excludes for long, and cost next to none", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      for (let n = 1; n <= 600; n++) log.append([publish(`id-${n}`, "x")], START_MS);
      const counted = countWritten(storage);
      let most = 0;
      for (let n = 601; n <= 5600; n++) {
        log.append([publish(`id-${n}`, "x")], START_MS);
        if (n % 50 === 0) most = Math.max(most, rowsIn(storage));
      }
      expect(most).toBeLessThanOrEqual(300);
      expect(counted.rows).toBe(5000);
      expect(counted.stores).toBeLessThanOrEqual(20);
      expect(counted.stores).toBeGreaterThanOrEqual(19);
    }));

  test("keep no row for the sake of one old id", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append([publish("old", "x")], START_MS);
      for (let n = 1; n <= 5000; n++) log.append(raw("x"), START_MS);
      expect(rowsIn(storage)).toBeLessThanOrEqual(300);
      expect(openLog(storage).find(1, "old")?.cursor.offset).toBe(1);
    }));

  test("are read from few rows on waking, also of batches of many rows", () =>
    onStorage((storage) => {
      const policy = { historyMessages: 100_000 };
      const log = openLog(storage, policy);
      const large = "x".repeat(1_300_000);
      for (let n = 1; n <= 100; n++) log.append([publish(`id-${n}`, large)], START_MS);
      for (let n = 1; n <= 700; n++) log.append(raw("x"), START_MS);
      let rowsRead = 0;
      const exec = storage.sql.exec.bind(storage.sql);
      Object.defineProperty(storage.sql, "exec", {
        value: (...args: Parameters<typeof exec>) => {
          const cursor = exec(...args);
          const toArray = cursor.toArray.bind(cursor);
          Object.defineProperty(cursor, "toArray", {
            value: () => {
              const rows = toArray();
              rowsRead += cursor.rowsRead;
              return rows;
            },
          });
          return cursor;
        },
      });
      const later = openLog(storage, policy);
      expect(rowsRead).toBeLessThanOrEqual(300);
      for (let n = 1; n <= 100; n++) expect(later.find(1, `id-${n}`)?.cursor.offset).toBe(n);
    }));

  test("outlive rows that go since storage is full", () =>
    onStorage((storage) => {
      const policy = { historyMessages: 100_000 };
      const log = openLog(storage, policy);
      for (let n = 1; n <= 100; n++) log.append([publish(`id-${n}`, "x")], START_MS);
      Object.defineProperty(storage.sql, "databaseSize", { value: 257 * 1024 * 1024 });
      // It is looked at when so much was written.
      log.append(raw("x".repeat(5 * 1024 * 1024)), START_MS);
      log.append([publish("last", "x")], START_MS);
      expect(log.gone).toBeGreaterThanOrEqual(10);
      const later = openLog(storage, policy);
      for (let n = 1; n <= 100; n++) expect(later.find(1, `id-${n}`)?.cursor.offset).toBe(n);
      expect(later.find(1, "last")?.cursor.offset).toBe(102);
    }));

  test("count in what a row may hold", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100_000 });
      const text = "€".repeat(240);
      const owner = -(2 ** 53);
      // As many as gather at most, all as long as they can be.
      const publications = Array.from({ length: 4097 }, (_, n) =>
        publish(`${LONGEST_ID}${10_000 + n}`, text, owner, 2 ** 53 - 1),
      );
      log.append(publications, START_MS);
      const { bytes } = storage.sql
        .exec<{ bytes: number }>(
          `select max(coalesce(length(cast(ids as blob)), 0) + length(cast(list as blob))) as bytes
            from log`,
        )
        .one();
      expect(bytes).toBeLessThanOrEqual(2_000_000);
      const later = openLog(storage, { historyMessages: 100_000 });
      expect(later.find(owner, `${LONGEST_ID}14096`)?.cursor).toEqual(log.head);
      const read = later.read(0);
      expect(typeof read === "object" && read?.messages).toEqual(Array(4097).fill(text));
    }));

  test("fit where all of them are stored", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100_000 });
      for (let owner = 1; owner <= 16; owner++) {
        const publications = Array.from({ length: 1000 }, (_, n) =>
          publish(`${LONGEST_ID}${10_000 + n}`, "", owner - 2 ** 53, 2 ** 53 - owner),
        );
        log.append(publications, START_MS);
      }
      let bytes = 0;
      const put = storage.kv.put.bind(storage.kv);
      Object.defineProperty(storage.kv, "put", {
        value: (key: string, value: unknown) => {
          bytes = JSON.stringify(value).length;
          put(key, value);
        },
      });
      log.store();
      // JSON takes more than structured clone: an escape for each quote, and digits.
      expect(bytes).toBeGreaterThan(16_000 * 64);
      const later = openLog(storage, { historyMessages: 100_000 });
      expect(later.find(1 - 2 ** 53, `${LONGEST_ID}10000`)?.cursor.offset).toBe(1);
    }));
});

function strip(ids: readonly unknown[][]): unknown[][] {
  return ids.map((id) => id.slice(0, 2));
}

/** Takes off what it does not know, of rows and of what is stored beside them. */
function forget({ sql, kv }: DurableObjectStorage): void {
  for (const { id, ids } of sql
    .exec<{ id: number; ids: string }>("select id, ids from log where ids is not null")
    .toArray()) {
    sql.exec("update log set ids = ? where id = ?", JSON.stringify(strip(JSON.parse(ids))), id);
  }
  const meta = kv.get<{ position: { ids: unknown[][] } }>("log");
  if (meta === undefined) return;
  const position = { ...meta.position, ids: strip(meta.position.ids) };
  kv.put("log", { ...meta, position });
}

describe("10.9 what the version before stored", () => {
  test("is anybody's, with any content", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append([publish("stored", "x")], START_MS);
      log.store();
      log.append([publish("in a row", "x")], START_MS);
      forget(storage);
      const later = openLog(storage);
      for (const [offset, id] of [
        [1, "stored"],
        [2, "in a row"],
      ] as const) {
        for (const owner of [1, 2]) {
          const cursor = { ...log.head, offset };
          expect(later.find(owner, id)).toEqual({ fingerprint: null, cursor });
        }
      }
    }));

  test("keeps rows no longer, however many it kept", () =>
    onStorage((storage) => {
      openLog(storage);
      // It stored nothing beside the rows meanwhile.
      storage.sql.exec(
        `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500)
          insert into log (id, last, at, ids, list)
          select i * 512, i, ?, '[["id-' || i || '",' || i || ']]', '["x"]' from n`,
        START_MS,
      );
      const log = openLog(storage);
      expect(log.head.offset).toBe(1500);
      expect(log.find(1, "id-501")?.cursor.offset).toBe(501);
      log.append([publish("new", "x")], START_MS);
      expect(rowsIn(storage)).toBeLessThanOrEqual(20);
      expect(openLog(storage).find(1, "id-1500")?.cursor.offset).toBe(1500);
    }));
});
