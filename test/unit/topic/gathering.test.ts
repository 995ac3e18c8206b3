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
    ["ASCII", "a".repeat(64 * KIB)],
    ["non-ASCII", "€".repeat((64 * KIB) / 3) + "a"],
    ["binary", new ArrayBuffer(64 * KIB)],
  ])("has 512 KiB at most, %s", (_, message) => {
    const gathering = new Gathering();
    for (let n = 0; n < 8; n++) add(gathering, message);
    expect(gathering.exceedsBatch).toBe(false);
    for (let n = 0; n < 11; n++) add(gathering, message);
    expect(gathering.exceedsBatch).toBe(true);
    expect(gathering.messages).toBe(19);
    expect(takeAll(gathering)).toEqual([8, 8, 3]);
    expect(gathering.messages).toBe(0);
  });

  test("one byte more is too much", async () => {
    const gathering = new Gathering();
    add(gathering, "a".repeat(512 * KIB - 3));
    await expectReached("gathered-counted", () => add(gathering, "€"));
    await expectReached("batch-full", () => add(gathering, "a"));
    expect(takeAll(gathering)).toEqual([2, 1]);
  });

  test("a publication that is larger has one of its own, uncut", () => {
    const gathering = new Gathering();
    add(gathering, "a");
    add(gathering, ..."abc".split("").map((text) => text.repeat(256 * KIB)));
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
    for (let n = 0; n < 1365; n++) add(gathering, "x".repeat(128));
    expect([gathering.exceedsBatch, gathering.isFull]).toEqual([false, false]);
    expect(takeAll(gathering)).toEqual([1365]);
    expect(counted()).toBe(0);
  });

  test("is each byte once, but for a few", () => {
    const counted = watchCounting();
    const gathering = new Gathering();
    for (let n = 0; n < 4000; n++) {
      add(gathering, "x".repeat(1000));
      expect(gathering.isFull).toBe(false);
    }
    takeAll(gathering);
    expect(counted()).toBeGreaterThan(3_000_000);
    expect(counted()).toBeLessThan(4_100_000);
  });
});
