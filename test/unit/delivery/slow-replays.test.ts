/** Replays to those who read slowly, or not at all: each alone, and all together. */
import { describe, expect, test } from "vitest";
import { bytesOf } from "../../../src/core/byte-size.ts";
import { formatCursor } from "../../../src/core/cursor.ts";
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import type { Batch } from "../../../src/delivery/batch.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { heldSocket, heldSubscriber, type HeldSubscriber } from "../support/held-socket.ts";
import { countWaits } from "../support/looks.ts";
import { batchAt, createReplay, cursorAt, type Replaying } from "../support/replaying.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A log of so many messages of one size, so many a batch. */
function logOf(count: number, bytes: number, batch = 1): Parameters<typeof createReplay>[0] {
  const messages = Array.from({ length: batch }, () => new ArrayBuffer(bytes));
  return { head: cursorAt(count), read: (offset) => batchAt(offset + 1, ...messages) };
}

function many(count: number): HeldSubscriber[] {
  return Array.from({ length: count }, () => heldSubscriber());
}

function isCurrent({ remembered }: HeldSubscriber): boolean {
  return remembered.at(-1) === null;
}

/** Waits until nobody is behind: the replay is at rest whenever the last one has gone. */
async function nobodyBehind({ replay }: Replaying): Promise<void> {
  while (replay.size > 0) await scheduler.wait(0);
}

function closes({ told }: Replaying): string[] {
  return told.filter((each) => each === "slow-consumer");
}

describe("11.6 a reader in a replay", () => {
  test("that takes nothing for 30 seconds is slow, and no sooner", async () => {
    const replaying = createReplay(logOf(3, 300 * KIB));
    const held = heldSubscriber();
    const time = countWaits(() => {}, 5000);
    await expectReached("replay-stalled", async () => {
      replaying.replay.add(held.subscriber, 0);
      await replaying.idle;
    });
    expect(replaying.told).toEqual(["slow-consumer"]);
    expect(held.sent).toHaveLength(1);
    expect(time.waitedMs).toBe(30_000);
  });

  test("that takes 1 KiB a second is given all, however long it takes", async () => {
    const replaying = createReplay(logOf(120, 10 * KIB, 30));
    const held = heldSubscriber();
    const time = countWaits((waitedMs) => {
      if (waitedMs % 10_000 === 0) held.read(1);
    }, 5000);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(replaying.told).toEqual([]);
    expect(held.sent).toHaveLength(120);
    expect(time.waitedMs).toBeGreaterThan(600_000);
  });

  test("that takes less than 1 KiB a second is slow", async () => {
    const replaying = createReplay(logOf(120, 10 * KIB, 30));
    const held = heldSubscriber();
    const time = countWaits((waitedMs) => {
      if (waitedMs % 15_000 === 0) held.read(1);
    }, 5000);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(replaying.told).toEqual(["slow-consumer"]);
    expect(time.waitedMs).toBe(30_000);
  });

  test.each([
    ["6 MB at 500 KB/s", 6_000_000, 12_000],
    ["900 KB at 80 KB/s", 900_000, 11_250],
    ["6 MB at 20 KB/s", 6_000_000, 300_000],
  ])("that takes messages of %s is given all, and lives on", async (_, bytes, everyMs) => {
    const replaying = createReplay(logOf(5, bytes));
    const held = heldSubscriber();
    let next = everyMs;
    countWaits((waitedMs) => {
      if (waitedMs < next) return;
      next += everyMs;
      held.read(1);
    }, 250);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(replaying.told).toEqual([]);
    expect(held.sent).toHaveLength(5);
  });

  test("whose queue is empty and who acknowledges slowly is given all", async () => {
    const large = "x".repeat(700 * KIB);
    const replaying = createReplay({
      head: cursorAt(6),
      read: (offset) => batchAt(offset + 1, large, large, large),
    });
    const held = heldSubscriber("stream");
    held.subscriber.acknowledge(cursorAt(0));
    let acknowledged = 0;
    // Three frames are more than it may owe: two acks bring it nothing new.
    countWaits((waitedMs) => {
      held.read();
      if (waitedMs < (acknowledged + 1) * 40_000) return;
      acknowledged += 1;
      held.subscriber.acknowledge(cursorAt(acknowledged));
    }, 1000);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(replaying.told).toEqual([]);
    expect(held.sent).toHaveLength(6);
  });

  test("goes live when what waits for it is within its bound, and not before", async () => {
    const replaying = createReplay(logOf(1, 6 * MIB), MIB);
    const held = heldSubscriber();
    const before: boolean[] = [];
    countWaits((waitedMs) => {
      if (waitedMs < 100_000) before.push(isCurrent(held));
      else held.read();
    }, 5000);
    await expectReached("current-and-behind", () => replaying.replay.add(held.subscriber, 0));
    await replaying.idle;
    expect(before).not.toContain(true);
    expect(isCurrent(held)).toBe(true);
    expect(closes(replaying)).toEqual([]);
  });

  test.each([
    [Infinity, 256 * KIB, 100 * KIB],
    [100 * KIB, 50 * KIB, 40 * KIB],
  ])("is not filled, with a bound of %d", async (bound, fill, bytes) => {
    const replaying = createReplay(logOf(20, bytes), bound);
    const held = heldSubscriber();
    let most = 0;
    // It reads only where it is given no more.
    let before = 0;
    countWaits(() => {
      if (held.waitingBytes === before) held.read(1);
      before = held.waitingBytes;
      most = Math.max(most, before);
    }, 1000);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(most).toBeGreaterThan(fill - bytes);
    expect(most).toBeLessThanOrEqual(fill + bytes);
  });

  test("that was behind before is given its time from when it came", async () => {
    const replaying = createReplay(logOf(3, 300 * KIB));
    const others = many(100);
    const socket = heldSocket();
    const held = heldSubscriber("raw", socket);
    const time = countWaits(() => {
      if (time.waitedMs >= 25_000) for (const each of [...others, held]) each.read();
    }, 5000);
    for (const { subscriber } of others) replaying.replay.add(subscriber, 0);
    // As after a wake: more waits than is filled, and there is no room to give it anything.
    socket.socket.send(new ArrayBuffer(300 * KIB));
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(replaying.told).toEqual([]);
  });
});

describe("11.3 a reader that acknowledges each 256 KiB", () => {
  test.each([1024, 65_536, 262_144, 300_000, MIB])(
    "is given the past with a bound of %d, and then the present",
    async (bound) => {
      // The last of it is less than what it acknowledges.
      const replaying = createReplay(
        {
          head: cursorAt(100),
          read: (offset) => batchAt(offset + 1, "x".repeat(10_000)),
        },
        bound,
      );
      const held = heldSubscriber("stream");
      const { subscriber, sent } = held;
      subscriber.acknowledge(cursorAt(0));
      let acknowledged = 0;
      const time = countWaits(() => {
        held.read();
        const bytes = bytesOf(sent.slice(acknowledged));
        if (bytes < 256 * KIB) return;
        acknowledged = sent.length;
        subscriber.acknowledge(cursorAt(acknowledged));
      }, 1000);
      replaying.replay.add(subscriber, 0);
      await replaying.idle;
      expect(sent).toHaveLength(100);
      expect(time.waitedMs).toBeLessThan(30_000);
      // What it owes of the past is not held against it.
      held.read();
      expect(subscriber.isOver(bound)).toBe(false);
      const most = 101 + Math.ceil(bound / 500);
      for (let offset = 101; !subscriber.isOver(bound) && offset <= most; offset++) {
        subscriber.send(batchAt(offset, "x".repeat(500)));
        held.read();
      }
      const live = bytesOf(sent.slice(100));
      expect(live).toBeGreaterThan(bound);
      expect(live).toBeLessThan(bound + 600);
      // Nor is it later, what it owes of the past: it pays that first.
      subscriber.acknowledge(cursorAt(100));
      expect(subscriber.isOver(bound)).toBe(true);
      subscriber.acknowledge(cursorAt(sent.length));
      expect(subscriber.backlog).toBe(0);
      subscriber.send(batchAt(sent.length + 1, "x".repeat(bound)));
      held.read();
      expect(subscriber.isOver(bound)).toBe(true);
    },
  );

  test("is given no more than 512 KiB and a batch without an ack", async () => {
    const replaying = createReplay({
      head: cursorAt(100),
      read: (offset) => batchAt(offset + 1, "x".repeat(100_000)),
    });
    const held = heldSubscriber("stream");
    held.subscriber.acknowledge(cursorAt(0));
    countWaits(() => held.read(), 5000);
    replaying.replay.add(held.subscriber, 0);
    await replaying.idle;
    expect(held.sent).toHaveLength(6);
    expect(replaying.told).toEqual(["slow-consumer"]);
  });
});

describe("what is replayed is kept", () => {
  test("9.6 from the moment in which a reader comes", async () => {
    const kept: number[] = [];
    const { replay, idle } = createReplay({
      ...logOf(100, 300 * KIB),
      keepBehind: (offset) => void kept.push(offset),
    });
    // The first is full, and its replay waits.
    const readers = many(3).map(({ subscriber }) => subscriber);
    const [first, later, other] = readers;
    if (first === undefined || later === undefined || other === undefined) throw new Error("Few");
    replay.add(first, 50);
    kept.length = 0;
    replay.add(later, 10);
    expect(kept).toEqual([10]);
    // Who needs less does not raise it.
    replay.add(other, 60);
    expect(kept).toEqual([10]);
    for (const { socket } of readers) replay.remove(socket);
    await idle;
  });

  test("9.6 or a reader is told of a gap: a log that has begun anew meanwhile", async () => {
    const head = { epoch: "epoch", offset: 100 };
    const read = (offset: number): Batch | null =>
      offset < head.offset ? batchAt(offset + 1, "x".repeat(300 * KIB)) : null;
    const { replay, idle } = createReplay({ head, read });
    const held = heldSubscriber("stream");
    let looks = 0;
    countWaits(() => {
      looks += 1;
      if (looks === 2) Object.assign(head, { epoch: "after", offset: 2 });
      if (looks >= 3) held.read();
    }, 1000);
    await expectReached("replay-of-another-epoch", async () => {
      replay.add(held.subscriber, 7);
      await idle;
    });
    const frames = held.sent.map((frame) => {
      const parsed = parseHubFrame(frame);
      return parsed.ok ? parsed.value : parsed.error;
    });
    expect(frames).toMatchObject([
      { type: "messages" },
      { type: "gap" },
      { type: "messages" },
      { type: "messages" },
    ]);
    expect(frames[1]).toEqual({
      type: "gap",
      from: formatCursor(cursorAt(8)),
      to: formatCursor({ epoch: "after", offset: 0 }),
    });
    expect(held.remembered.at(-2)).toMatchObject({ epoch: "after" });
    expect(isCurrent(held)).toBe(true);
  });
});

describe("11.7 all who are replayed to", () => {
  test("hold 24 MiB at most, and each has its turn", async () => {
    const replaying = createReplay(logOf(3, 300 * KIB - KIB));
    const all = many(200);
    let most = 0;
    let leastWhenThird = Infinity;
    countWaits(() => {
      most = Math.max(
        most,
        all.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0),
      );
      if (all.some(({ sent }) => sent.length === 3)) {
        leastWhenThird = Math.min(leastWhenThird, ...all.map(({ sent }) => sent.length));
      }
      for (const each of all) each.read();
    }, 1000);
    await expectReached("replay-waits-for-room", async () => {
      for (const { subscriber } of all) replaying.replay.add(subscriber, 0);
      await nobodyBehind(replaying);
    });
    expect(all.map(({ sent }) => sent.length)).toEqual(all.map(() => 3));
    expect(most).toBeGreaterThan(23 * MIB);
    expect(most).toBeLessThanOrEqual(25 * MIB);
    // Nobody has its last before everybody has its first.
    expect(leastWhenThird).toBeGreaterThan(0);
    expect(replaying.told).toEqual([]);
  });

  test("are given theirs 24 at a time, all in one pass where there is room", async () => {
    const replaying = createReplay(logOf(2, 100 * KIB));
    const all = many(100);
    const given: number[] = [];
    countWaits(() => void given.push(all.filter(({ sent }) => sent.length === 2).length));
    for (const { subscriber } of all) replaying.replay.add(subscriber, 0);
    await replaying.idle;
    // The first was alone as it came.
    expect(given).toEqual([1, 25, 49, 73, 97, 100]);
  });

  test("do not go live with more than the topic may hold, and are not closed for it", async () => {
    const replaying = createReplay(logOf(1, 300 * KIB), MIB);
    const all = many(400);
    let most = 0;
    countWaits((waitedMs) => {
      most = Math.max(
        most,
        all.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0),
      );
      if (waitedMs > 10_000) for (const each of all) each.read();
    }, 1000);
    for (const { subscriber } of all) replaying.replay.add(subscriber, 0);
    await nobodyBehind(replaying);
    expect(all.every(isCurrent)).toBe(true);
    expect(closes(replaying)).toEqual([]);
    expect(most).toBeLessThanOrEqual(50 * MIB);
  });

  test("go live once they have read, whatever waits for others", async () => {
    const replaying = createReplay(logOf(1, 300 * KIB), MIB);
    const all = many(100);
    // The first ones are live, and read nothing.
    countWaits(() => {
      for (const each of all) if (!isCurrent(each)) each.read();
    }, 1000);
    for (const { subscriber } of all) replaying.replay.add(subscriber, 0);
    await nobodyBehind(replaying);
    expect(all.every(isCurrent)).toBe(true);
    expect(closes(replaying)).toEqual([]);
  });

  test("are given nothing where the topic has no room, until those go who are furthest behind", async () => {
    const replaying = createReplay(logOf(3, 10 * KIB));
    const { fanOut, replay } = replaying;
    const live = many(70);
    const held = heldSubscriber();
    const time = countWaits(() => held.read());
    for (const { subscriber } of live) fanOut.add(subscriber);
    fanOut.deliver(batchAt(3, new ArrayBuffer(MIB)));
    while (fanOut.serve()) continue;
    replay.add(held.subscriber, 0);
    expect(held.sent).toEqual([]);
    await nobodyBehind(replaying);
    expect(time.waitedMs).toBeGreaterThanOrEqual(250);
    expect(closes(replaying)).toHaveLength(36);
    expect(held.sent).toHaveLength(3);
    expect(isCurrent(held)).toBe(true);
  });

  test("go on where others have read meanwhile, of which nobody was told", async () => {
    const replaying = createReplay(logOf(1, 300 * KIB), MIB);
    const { fanOut, replay } = replaying;
    const live = many(30);
    for (const { subscriber } of live) fanOut.add(subscriber);
    fanOut.deliver(batchAt(1, new ArrayBuffer(MIB)));
    while (fanOut.serve()) continue;
    for (const each of live) each.read();
    countWaits();
    const held = heldSubscriber();
    replay.add(held.subscriber, 0);
    await nobodyBehind(replaying);
    expect(isCurrent(held)).toBe(true);
    expect(held.waitingBytes).toBe(300 * KIB);
  });

  test("are given nothing any more once they are gone", async () => {
    const all = many(40);
    const last = all.at(-1);
    if (last === undefined) throw new Error("Nobody");
    const replaying = createReplay({
      read: (offset) => {
        // Within the first pass over all, as another one is given its second.
        if (offset === 1 && last.sent.length === 1) replaying.replay.remove(last.socket);
        return batchAt(offset + 1);
      },
    });
    for (const { subscriber } of all) replaying.replay.add(subscriber, 0);
    await nobodyBehind(replaying);
    expect(last.sent).toHaveLength(1);
    expect(isCurrent(last)).toBe(false);
  });
});
