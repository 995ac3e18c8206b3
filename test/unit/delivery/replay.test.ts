/** What a replay does where its log or its subscriber fails it, branch by branch. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Batch } from "../../../src/delivery/batch.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { batchAt, createReplay, cursorAt, gapOf } from "../support/replaying.ts";

afterEach(() => vi.restoreAllMocks());

async function nextFrames(client: { next(): Promise<unknown> }, count: number): Promise<unknown[]> {
  const frames: unknown[] = [];
  while (frames.length < count) frames.push(JSON.parse(String(await client.next())));
  return frames;
}

function readWithoutSecond(offset: number): Batch | number {
  return offset === 1 ? 2 : batchAt(offset + 1);
}

test("9.5 the log keeps what the last of those behind needs, pass by pass, and then nothing", async () => {
  const kept: number[] = [];
  const { replay, idle, streamSubscriber } = createReplay({
    head: cursorAt(5),
    keepBehind: (offset) => void kept.push(offset),
  });
  replay.add(streamSubscriber().subscriber, 0);
  replay.add(streamSubscriber().subscriber, 2);
  await idle;
  // What the first needs as it comes, before it has anything; one pass each gives both one more.
  expect(kept).toEqual([0, 1, 2, 3, 4, Infinity]);
});

describe("a reader", () => {
  test("that is overtaken by what is forgotten is told of a gap", async () => {
    const { replay, told, idle, streamSubscriber } = createReplay({ gone: 2 });
    const { subscriber, client } = streamSubscriber();
    await expectReached("replay-overtaken", () => replay.add(subscriber, 0));
    await idle;
    expect(await nextFrames(client, 2)).toMatchObject([gapOf(0, 2), { messages: ["3"] }]);
    expect(told).toEqual(["up to 0", "current"]);
  });

  test("that has all up to where the log begins is not told of one", async () => {
    const { replay, idle, streamSubscriber } = createReplay({ gone: 2 });
    const { subscriber, client } = streamSubscriber();
    replay.add(subscriber, 2);
    await idle;
    expect(await nextFrames(client, 1)).toMatchObject([{ messages: ["3"] }]);
  });

  test("that cannot be given what it needs goes on behind it, and the node hears how much that is", async () => {
    const { replay, told, idle, streamSubscriber } = createReplay({ read: readWithoutSecond });
    const { subscriber, client } = streamSubscriber();
    await expectReached("replay-unreadable", async () => {
      replay.add(subscriber, 0);
      await idle;
    });
    expect(await nextFrames(client, 3)).toMatchObject([
      { messages: ["1"] },
      gapOf(1, 2),
      { messages: ["3"] },
    ]);
    expect(told).toEqual(["up to 0", "up to 1", "1 unreadable", "up to 2", "current"]);
  });

  test.each([
    ["forgotten", { gone: 2 }, ["up to 0", "history-gap"]],
    ["unreadable", { read: () => 2 }, ["up to 0", "2 unreadable", "history-gap"]],
  ])("that asked for it is closed where what it needs is %s", async (_, log, expected) => {
    const { replay, told, idle, streamSubscriber } = createReplay(log);
    const { subscriber } = streamSubscriber("close");
    await expectReached("replay-ended-by-gap", () => replay.add(subscriber, 0));
    await idle;
    expect(told).toEqual(expected);
    expect(replay.size).toBe(0);
  });
});
