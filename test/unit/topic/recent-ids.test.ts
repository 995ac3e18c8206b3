/** PROTOCOL.md, 10.9: which publishes are remembered, and of whom. */
import { describe, expect, test } from "vitest";
import { RecentIds, type PublishedId } from "../../../src/topic/recent-ids.ts";

/** So many publishes of one owner, the first at an offset. */
function add(ids: RecentIds, owner: number | null, count: number, first: number): void {
  for (let n = 0; n < count; n++) ids.add([`id-${n}`, first + n, n, owner]);
}

describe("10.9 the last ids", () => {
  test("are 1,000 of each of the last 16 owners, whoever publishes how much", () => {
    const ids = new RecentIds();
    for (let owner = 1; owner <= 17; owner++) add(ids, owner, 1500, owner * 10_000);
    for (let owner = 2; owner <= 17; owner++) {
      expect(ids.find(owner, "id-499")).toBeUndefined();
      expect(ids.find(owner, "id-500")?.[1]).toBe(owner * 10_000 + 500);
      expect(ids.find(owner, "id-1499")?.[1]).toBe(owner * 10_000 + 1499);
    }
    expect(ids.find(1, "id-1499")).toBeUndefined();
    expect(ids.newest(Infinity)).toHaveLength(16_000);
  });

  test("of who published last are kept, not of who came last", () => {
    const ids = new RecentIds();
    for (let owner = 1; owner <= 16; owner++) add(ids, owner, 1000, owner * 10_000);
    ids.add(["again", 200_000, 0, 1]);
    add(ids, 17, 1000, 300_000);
    expect(ids.find(1, "again")?.[1]).toBe(200_000);
    expect(ids.find(1, "id-1")?.[1]).toBe(10_001);
    expect(ids.find(2, "id-999")).toBeUndefined();
  });

  test("are of many owners where each has few", () => {
    const ids = new RecentIds();
    for (let owner = 1; owner <= 16_002; owner++) ids.add(["id", owner, 0, owner]);
    expect(ids.find(1, "id")).toBeUndefined();
    expect(ids.find(2, "id")).toBeUndefined();
    expect(ids.find(3, "id")?.[1]).toBe(3);
  });

  test("an id that is remembered again is one id", () => {
    const ids = new RecentIds();
    for (let n = 0; n < 20_000; n++) ids.add(["id", n, 0, 1]);
    add(ids, 2, 1000, 20_000);
    expect(ids.newest(Infinity)).toHaveLength(1001);
    expect(ids.find(1, "id")?.[1]).toBe(19_999);
    add(ids, 1, 1001, 30_000);
    expect(ids.find(1, "id")).toBeUndefined();
    expect(ids.find(1, "id-0")).toBeUndefined();
    expect(ids.find(1, "id-1")?.[1]).toBe(30_001);
  });

  test("that the version before stored are anybody's, but one's own come first", () => {
    const ids = new RecentIds([["a", 1, null, null]]);
    expect(ids.find(5, "a")).toEqual(["a", 1, null, null]);
    ids.add(["a", 2, 9, 5]);
    expect(ids.find(5, "a")).toEqual(["a", 2, 9, 5]);
    expect(ids.find(6, "a")).toEqual(["a", 1, null, null]);
  });

  test("the newest are as many of each owner, in the order of the log", () => {
    const ids = new RecentIds();
    add(ids, 1, 1000, 1);
    add(ids, 2, 1000, 2001);
    add(ids, 3, 2, 4001);
    const newest = ids.newest(10);
    expect(newest.map(([, offset]) => offset)).toEqual([
      997, 998, 999, 1000, 2997, 2998, 2999, 3000, 4001, 4002,
    ]);
  });

  test("the newest of a single owner are its last", () => {
    const ids = new RecentIds();
    add(ids, 1, 1000, 1);
    expect(ids.newest(3).map(([, offset]) => offset)).toEqual([998, 999, 1000]);
    expect(ids.newest(0)).toEqual([]);
  });

  test("are the same when they were stored and read", () => {
    const ids = new RecentIds();
    for (let n = 0; n < 20_000; n++) ids.add([`id-${n}`, n, n, n % 17]);
    const stored: PublishedId[] = ids.newest(Infinity);
    expect(new RecentIds(stored).newest(Infinity)).toEqual(stored);
  });
});
