/** What is remembered in memory is bounded, in messages and in bytes. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { RecentBatches } from "../../../src/delivery/recent-batches.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

afterEach(() => vi.restoreAllMocks());

const KIB = 1024;

/** The offset of the oldest message that is left of so many batches of one message. */
function oldestOf(count: number, message: Message): number | undefined {
  const recent = new RecentBatches();
  for (let offset = 1; offset <= count; offset++) recent.push(batchAt(offset, message));
  return recent.oldest?.place.first;
}

function batchAt(offset: number, message: Message): Batch {
  return Batch.ofMessages({ epoch: "epoch", first: offset, last: offset, atMs: 0 }, [message]);
}

describe("RecentBatches", () => {
  test("keeps 1,024 messages", () => {
    expect(oldestOf(1024, "a")).toBe(1);
    expect(oldestOf(1030, "a")).toBe(7);
  });

  test.each([
    ["ASCII", "a".repeat(64 * KIB)],
    ["non-ASCII", "€".repeat((64 * KIB) / 3) + "a"],
    ["binary", new ArrayBuffer(64 * KIB)],
  ])("keeps 1 MiB, %s", async (_, message) => {
    expect(oldestOf(16, message)).toBe(1);
    expect(await expectReached("recent-over-bytes", () => oldestOf(40, message))).toBe(25);
  });

  test("keeps 1 MiB, also after many small messages", () => {
    const recent = new RecentBatches();
    for (let offset = 1; offset <= 2000; offset++) recent.push(batchAt(offset, "a"));
    for (let offset = 2001; offset <= 2024; offset++) {
      recent.push(batchAt(offset, "a".repeat(64 * KIB)));
    }
    expect(recent.oldest?.place.first).toBe(2009);
  });

  test("keeps the newest batch, however large it is", () => {
    expect(oldestOf(3, "a".repeat(KIB * KIB + 1))).toBe(3);
  });

  test("counts nothing while three bytes a unit are little enough, and then each batch once", () => {
    const encode = vi.spyOn(TextEncoder.prototype, "encodeInto");
    oldestOf(3000, "x".repeat(128));
    expect(encode).not.toHaveBeenCalled();
    oldestOf(3000, "x".repeat(1000));
    expect(encode.mock.calls.length).toBeGreaterThan(1000);
    expect(encode.mock.calls.length).toBeLessThanOrEqual(3000);
  });
});
