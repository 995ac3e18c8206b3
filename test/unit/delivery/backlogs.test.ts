/** What waits for all of a topic's subscribers together: over the bound, who is furthest behind goes first. */
import { describe, expect, test, vi } from "vitest";
import { Backlogs } from "../../../src/delivery/backlogs.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { heldSubscriber, type HeldSubscriber } from "../support/held-socket.ts";
import { countWaits } from "../support/looks.ts";

const MIB = 1024 * 1024;
const LARGE = batchOf(MIB - 1024);

/** Of one message, which the runtime holds for so many bytes, with what a frame costs it. */
function batchOf(bytes: number): Batch {
  const place = { epoch: "epoch", first: 1, last: 1, atMs: 0 };
  return Batch.ofMessages(place, [new ArrayBuffer(bytes)]);
}

interface Served {
  readonly fanOut: FanOut;
  readonly subscribers: readonly HeldSubscriber[];
  /** Who was closed, by place, in order. */
  readonly closed: number[];
  /** MiB that wait for those who were not. */
  readonly waiting: () => number;
  readonly publish: (batch?: Batch) => Promise<void>;
}

function serve(count: number): Served {
  const closed: number[] = [];
  const subscribers = Array.from({ length: count }, () => heldSubscriber());
  const fanOut: FanOut = new FanOut({
    maxBacklogBytes: () => 64 * MIB,
    close: (socket) => {
      closed.push(subscribers.findIndex((each) => each.socket === socket));
      fanOut.remove(socket);
    },
  });
  for (const { subscriber } of subscribers) fanOut.add(subscriber);
  const publish = async (batch = LARGE): Promise<void> => {
    fanOut.deliver(batch);
    while (fanOut.serve()) await fanOut.rest();
  };
  const waiting = (): number => {
    const here = subscribers.filter((_, place) => !closed.includes(place));
    return here.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0) / MIB;
  };
  return { fanOut, subscribers, closed, waiting, publish };
}

/** So many for each of whom the runtime holds 1 MiB. */
function take(backlogs: Backlogs, count: number): HeldSubscriber[] {
  const taken = Array.from({ length: count }, () => heldSubscriber());
  for (const { subscriber } of taken) {
    backlogs.join(subscriber);
    subscriber.send(LARGE);
    backlogs.count(subscriber);
  }
  return taken;
}

describe("11.7 what waits for all together", () => {
  test("is 64 MiB at most, however many do not read", async () => {
    let most = 0;
    const { publish, waiting, closed } = serve(300);
    countWaits(() => void (most = Math.max(most, waiting())));
    await publish();
    expect(most).toBeGreaterThan(60);
    expect(most).toBeLessThanOrEqual(65);
    expect(waiting()).toBeLessThanOrEqual(65);
    expect(closed.length).toBeGreaterThan(230);
  });

  test("closes who is furthest behind, after a quarter of a second, and leaves room for more", async () => {
    const { publish, closed, subscribers, waiting } = serve(70);
    const time = countWaits();
    subscribers[40]?.subscriber.send(LARGE);
    await expectReached("furthest-behind-closed", () => publish());
    expect(closed[0]).toBe(40);
    expect(time.waitedMs).toBe(250);
    // 65 MiB were there, one had 2 of them. What the closed ones keep counts half: 37 are three quarters of 50.
    expect(closed).toHaveLength(27);
    expect(waiting()).toBeLessThan(44);
  });

  test("is not too much for one that is under way, as long as it is read", async () => {
    // 16 MiB a quarter of a second, and not all of what is too much within one.
    const { publish, closed, subscribers } = serve(4);
    const pieces = batchOf(MIB / 2 - 1024);
    const place = { ...pieces.place, last: 64 };
    const batch = Batch.ofMessages(place, Array(64).fill(pieces.messages[0]));
    const [first] = subscribers;
    const time = countWaits(() => first?.read(1));
    await expectReached("topic-waited-to-be-read", () =>
      expectReached("topic-read-meanwhile", () => publish(batch)),
    );
    expect(time.waitedMs).toBeGreaterThan(250);
    expect(closed).toEqual([]);
  });

  test("is too much where hardly anything is read", async () => {
    const { publish, closed, subscribers } = serve(4);
    const pieces = batchOf(MIB / 8 - 1024);
    const place = { ...pieces.place, last: 256 };
    const batch = Batch.ofMessages(place, Array(256).fill(pieces.messages[0]));
    const [first] = subscribers;
    const time = countWaits(() => first?.read(1));
    await publish(batch);
    expect(time.waitedMs).toBe(250);
    expect(closed).not.toEqual([]);
  });

  test("is looked at before anybody is waited for", async () => {
    const { publish, closed, subscribers } = serve(300);
    const time = countWaits(() => subscribers.forEach((each) => each.read()));
    await publish();
    await publish();
    expect(closed).toEqual([]);
    expect(time.waitedMs).toBe(0);
  });

  test.each([
    ["is gone", (held: HeldSubscriber) => held.end(), 0],
    ["has read all", (held: HeldSubscriber) => held.read(), 0],
    ["is there and reads nothing, by half", () => {}, 30],
  ])("is less by who leaves, and %s", async (_, leave, left) => {
    const { publish, closed, fanOut, subscribers } = serve(60);
    const time = countWaits();
    await publish();
    for (const held of subscribers) {
      leave(held);
      fanOut.remove(held.socket);
    }
    const others = Array.from({ length: 60 }, () => heldSubscriber());
    for (const { subscriber } of others.slice(0, 63 - left)) fanOut.add(subscriber);
    await publish();
    expect(closed).toEqual([]);
    expect(time.waitedMs).toBe(0);
    for (const { subscriber } of others.slice(63 - left)) fanOut.add(subscriber);
    await publish();
    expect(closed).not.toEqual([]);
  });

  test("is never less for those who stay than 8 MiB", async () => {
    const { publish, closed, fanOut, subscribers } = serve(60);
    const time = countWaits();
    for (let n = 0; n < 3; n++) {
      await publish();
      for (const { socket } of subscribers) fanOut.remove(socket);
      for (const { subscriber } of subscribers) fanOut.add(subscriber);
    }
    for (const { socket } of subscribers) fanOut.remove(socket);
    closed.length = 0;
    const before = time.waitedMs;
    const others = Array.from({ length: 8 }, () => heldSubscriber());
    for (const { subscriber } of others) fanOut.add(subscriber);
    await publish();
    expect(closed).toEqual([]);
    expect(time.waitedMs).toBe(before);
  });

  test("is looked at again when many have left, so that none is kept for ever", () => {
    const backlogs = new Backlogs({ close: () => {} });
    const leaving = take(backlogs, 64);
    const lastOne = leaving.pop();
    for (const { subscriber } of leaving) backlogs.forget(subscriber);
    take(backlogs, 40);
    // What the others leave behind is half of what there may be.
    expect(backlogs.isOver).toBe(true);
    for (const each of leaving) each.end();
    if (lastOne !== undefined) backlogs.forget(lastOne.subscriber);
    expect(backlogs.isOver).toBe(false);
  });

  test("is not looked at each time where those who have left stay", () => {
    const backlogs = new Backlogs({ close: () => {} });
    const leaving = take(backlogs, 300);
    const [first] = leaving;
    if (first === undefined) throw new Error("Nobody");
    const looks = vi.spyOn(first.subscriber, "look");
    for (const { subscriber } of leaving) backlogs.forget(subscriber);
    // As it leaves, and when there are 64, 128 and 256.
    expect(looks).toHaveBeenCalledTimes(4);
  });

  test("is enough less for those who were to be closed, whatever becomes of them", async () => {
    const closed: WebSocket[] = [];
    const backlogs = new Backlogs({ close: (socket) => void closed.push(socket) });
    take(backlogs, 70);
    countWaits();
    await backlogs.makeRoom();
    const { length } = closed;
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(40);
    await backlogs.makeRoom();
    expect(closed).toHaveLength(length);
  });

  test("is no less by one whose connection had ended before it left", () => {
    const backlogs = new Backlogs({ close: () => {} });
    const [ended, stays] = [heldSubscriber(), heldSubscriber()];
    for (const { subscriber } of [ended, stays]) {
      backlogs.join(subscriber);
      for (let n = 0; n < 50; n++) subscriber.send(LARGE);
    }
    backlogs.count(ended.subscriber);
    ended.end();
    backlogs.forget(ended.subscriber);
    backlogs.count(stays.subscriber);
    expect(backlogs.isOver).toBe(false);
  });

  test("is not more by who left before it was served", async () => {
    const { closed, fanOut, subscribers } = serve(100);
    const time = countWaits();
    fanOut.deliver(LARGE);
    for (const { socket } of subscribers.slice(0, 50)) fanOut.remove(socket);
    while (fanOut.serve()) await fanOut.rest();
    expect(closed).toEqual([]);
    expect(time.waitedMs).toBe(0);
  });

  test("grows by 32 MiB at most before the loop turns", () => {
    const { fanOut, subscribers } = serve(60);
    fanOut.deliver(LARGE);
    fanOut.serve();
    // A little less than 1 MiB each.
    expect(subscribers.filter(({ sent }) => sent.length > 0)).toHaveLength(33);
  });

  test("counts small messages by what they cost the hub", async () => {
    const { publish, closed } = serve(20);
    countWaits();
    const place = { epoch: "epoch", first: 1, last: 4096, atMs: 0 };
    await publish(Batch.ofMessages(place, Array(4096).fill("x")));
    // 4 MiB each, of 16.
    expect(closed.length).toBeGreaterThan(0);
  });

  test("who reads is not among them, whatever the others do", async () => {
    const { publish, closed, subscribers } = serve(200);
    const readers = subscribers.filter((_, place) => place % 10 === 0);
    countWaits(() => readers.forEach((each) => each.read()));
    await publish();
    await publish();
    expect(closed.filter((place) => place % 10 === 0)).toEqual([]);
    for (const { sent } of readers) expect(sent).toHaveLength(2);
  });
});
