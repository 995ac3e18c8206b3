/** What gathers is put together to batches, bounded in bytes, and hardly ever counted. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { Gathering } from "../../../src/topic/gathering.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

afterEach(() => vi.restoreAllMocks());

const KIB = 1024;

function add(gathering: Gathering, ...messages: Message[]): void {
  gathering.add({ messages, receipt: null });
}

/** How many publications each batch has. */
function takeAll(gathering: Gathering): number[] {
  const counts: number[] = [];
  for (let taken = gathering.take(); taken !== null; taken = gathering.take()) {
    counts.push(taken.length);
  }
  return counts;
}

/** Notes how many bytes are counted from now on. */
function watchCounting(): () => number {
  const encode = vi.spyOn(TextEncoder.prototype, "encodeInto");
  return () => encode.mock.results.reduce((sum, { value }) => sum + Number(value.written), 0);
}

describe("a batch", () => {
  test.each([
    ["512 KiB of ASCII", "a".repeat(64 * KIB), 8],
    ["1.5 MiB of what takes three bytes a unit", "€".repeat((64 * KIB) / 4), 32],
    ["1.5 MiB of binary", new ArrayBuffer(64 * KIB), 24],
  ])("has at most %s", (_, message, count) => {
    const gathering = new Gathering();
    for (let n = 0; n < count; n++) add(gathering, message);
    expect(gathering.exceedsBatch).toBe(false);
    for (let n = 0; n < count + 3; n++) add(gathering, message);
    expect(gathering.exceedsBatch).toBe(true);
    expect(gathering.messages).toBe(2 * count + 3);
    expect(takeAll(gathering)).toEqual([count, count, 3]);
    expect(gathering.messages).toBe(0);
  });

  test("one byte more is too much", async () => {
    const gathering = new Gathering();
    add(gathering, "a".repeat(512 * KIB - 1));
    add(gathering, new ArrayBuffer(3));
    await expectReached("batch-full", () => add(gathering, new ArrayBuffer(1)));
    expect(takeAll(gathering)).toEqual([2, 1]);
  });

  test("a publication that is larger has one of its own, uncut", () => {
    const gathering = new Gathering();
    add(gathering, "a");
    add(gathering, ..."abc".split("").map((text) => text.repeat(512 * KIB)));
    expect(gathering.exceedsBatch).toBe(true);
    add(gathering, "a");
    expect(takeAll(gathering)).toEqual([1, 1, 1]);
    add(gathering, "a".repeat(512 * KIB + 1));
    expect(gathering.exceedsBatch).toBe(true);
  });

  test("receipts without messages go with those before them", () => {
    const gathering = new Gathering();
    for (const text of ["a".repeat(512 * KIB), "b"]) {
      add(gathering, text);
      add(gathering);
    }
    expect(takeAll(gathering)).toEqual([2, 2]);
  });
});

describe("a full topic", () => {
  test("has more than 4,096 messages", () => {
    const gathering = new Gathering();
    for (let n = 0; n < 4096; n++) add(gathering, "a");
    expect(gathering.isFull).toBe(false);
    add(gathering, "a");
    expect(gathering.isFull).toBe(true);
    gathering.take();
    expect(gathering.isFull).toBe(false);
  });

  test.each([
    ["ASCII", "a".repeat(256 * KIB)],
    ["non-ASCII", "€".repeat((256 * KIB) / 3) + "a"],
    ["binary", new ArrayBuffer(256 * KIB)],
  ])("has more than 8 MiB, %s", (_, message) => {
    const gathering = new Gathering();
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 32; n++) add(gathering, message);
      expect(gathering.isFull).toBe(false);
      add(gathering, "a");
      expect(gathering.isFull).toBe(true);
      gathering.take();
      expect(gathering.isFull).toBe(false);
      takeAll(gathering);
    }
  });

  test("of one publication that is all of it", () => {
    const gathering = new Gathering();
    add(gathering, "a".repeat(8 * KIB * KIB));
    expect(gathering.isFull).toBe(false);
    takeAll(gathering);
    add(gathering, "a".repeat(8 * KIB * KIB + 1));
    expect(gathering.isFull).toBe(true);
  });
});

describe("what is counted", () => {
  test("is nothing while three bytes a unit are little enough", () => {
    const counted = watchCounting();
    const gathering = new Gathering();
    for (let n = 0; n < 4096; n++) {
      add(gathering, "x".repeat(500));
      expect(gathering.isFull).toBe(false);
    }
    takeAll(gathering);
    expect(counted()).toBe(0);
  });

  test("is each byte once", async () => {
    const counted = watchCounting();
    const gathering = new Gathering();
    await expectReached("gathered-counted", () => {
      for (let n = 0; n < 4000; n++) {
        add(gathering, "x".repeat(1000));
        expect(gathering.isFull).toBe(false);
      }
    });
    takeAll(gathering);
    expect(counted()).toBeGreaterThan(2_500_000);
    expect(counted()).toBeLessThanOrEqual(4_000_000);
  });
});
