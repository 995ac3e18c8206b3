/** What a sequencer does under load, branch by branch: who sends is held up, who reads is waited for, and not for long. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Cursor } from "../../../src/core/cursor.ts";
import { LINGER_MS, type SequencedTopic } from "../../../src/topic/sequencer.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import {
  createPipeline,
  member,
  numbers,
  publish,
  type Member,
  type Pipeline,
} from "../support/pipeline.ts";

afterEach(() => vi.restoreAllMocks());

/** Two of them are more than a batch takes. */
const LARGE = "x".repeat(300 * 1024);
/** A look at who is slow, and how often there is one. */
const LOOK_MS = 5;
const LOOKS = 50;

/** Lets all waits be as short as can be, or what `onWait` makes of them, and notes how long they should have been. */
function watchWaits(onWait: (ms: number) => Promise<void> | void = () => {}): number[] {
  const waits: number[] = [];
  const wait = scheduler.wait.bind(scheduler);
  vi.spyOn(scheduler, "wait").mockImplementation((ms) => {
    waits.push(ms);
    return onWait(ms) ?? wait(0);
  });
  return waits;
}

interface Slow {
  readonly pipeline: Pipeline;
  readonly reader: Member;
  /** Who was closed as slow. */
  readonly closed: WebSocket[];
  /** Nothing lingers any more. */
  readonly idle: Promise<void>;
  readonly catchUp: () => void;
}

/** A pipeline with one member, which is over its bound after each message, until somebody says otherwise. */
function createSlow(hold: SequencedTopic["hold"] = (work) => void work()): Slow {
  const { promise: idle, resolve: onIdle } = Promise.withResolvers<void>();
  const closed: WebSocket[] = [];
  let maxBacklogBytes = Infinity;
  const pipeline = createPipeline({
    maxBacklogBytes: () => maxBacklogBytes,
    close: (socket) => {
      closed.push(socket);
      pipeline.fanOut.remove(socket);
    },
    hold,
    onIdle,
  });
  const reader = member(pipeline);
  const send = reader.socket.send.bind(reader.socket);
  reader.socket.send = (message) => {
    maxBacklogBytes = -1;
    send(message);
  };
  return { pipeline, reader, closed, idle, catchUp: () => void (maxBacklogBytes = Infinity) };
}

describe("a linger", () => {
  test("ends as soon as enough has gathered to share a row", async () => {
    const wait = scheduler.wait.bind(scheduler);
    // However slow the machine is, no row is due before.
    vi.spyOn(Date, "now").mockReturnValue(Date.now());
    // The long one has no end of its own.
    const { promise: never } = Promise.withResolvers<void>();
    // After the first message, while others gather, and at rest.
    const [first, gathering, last] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ];
    const lingers = [first, gathering, last];
    vi.spyOn(scheduler, "wait").mockImplementation((ms) => {
      if (ms <= LINGER_MS) return wait(ms);
      lingers.shift()?.resolve();
      return never;
    });
    const pipeline = createPipeline({ isDurable: true });
    const one = member(pipeline);
    publish(pipeline, "first");
    await first.promise;
    const sent = numbers(16);
    for (const message of sent.slice(0, 15)) publish(pipeline, message);
    await wait(0);
    expect(one.received).toEqual(["first"]);
    await expectReached("linger-cut-short", () => {
      publish(pipeline, "15");
      return one.arrived(17);
    });
    expect(one.received).toEqual(["first", ...sent]);
    // It lingers again: nothing of it is left for the next test.
    await last.promise;
  });

  test("is left out while more waits than a batch takes", async () => {
    const waits = watchWaits();
    const { promise: idle, resolve: onIdle } = Promise.withResolvers<void>();
    const pipeline = createPipeline({ onIdle });
    const one = member(pipeline);
    await expectReached("linger-left-out", async () => {
      for (let n = 0; n < 4; n++) publish(pipeline, LARGE);
      await idle;
    });
    // Three wait after the first, and go one by one; two more than a batch takes are only left after the second.
    expect(waits).toEqual([LINGER_MS, 0, LINGER_MS, LINGER_MS]);
    expect(await one.arrived(4)).toHaveLength(4);
  });
});

describe("whoever is over the bound while more waits than a batch takes", () => {
  test("is waited for, and stays if it catches up", async () => {
    const { pipeline, reader, closed, idle, catchUp } = createSlow();
    let looks = 0;
    watchWaits((ms) => {
      if (ms === LOOK_MS) looks += 1;
      if (ms === LINGER_MS || looks === 3) catchUp();
    });
    await expectReached("patience-taken", async () => {
      for (let n = 0; n < 4; n++) publish(pipeline, LARGE);
      await idle;
    });
    expect(await reader.arrived(4)).toHaveLength(4);
    expect(looks).toBe(3);
    expect(closed).toEqual([]);
  });

  test("is slow after a quarter of a second", async () => {
    const { pipeline, reader, closed, idle, catchUp } = createSlow();
    const waits = watchWaits((ms) => {
      if (ms === LINGER_MS) catchUp();
    });
    await expectReached("patience-at-its-end", async () => {
      for (let n = 0; n < 4; n++) publish(pipeline, LARGE);
      await idle;
    });
    expect(closed).toEqual([reader.socket]);
    expect(waits.filter((ms) => ms === LOOK_MS)).toHaveLength(LOOKS);
  });

  test("is slow in a hold, too", async () => {
    const held: Promise<void>[] = [];
    const { pipeline, reader, closed, catchUp } = createSlow((work) => void held.push(work()));
    // Nobody's timer fires in a hold but its own.
    const waits = watchWaits((ms) => (ms === LINGER_MS ? new Promise(() => {}) : undefined));
    publish(pipeline, "first");
    catchUp();
    // Two batches, and so many messages that who sends is held up.
    await expectReached("patience-at-its-end", async () => {
      for (let n = 0; n < 4097; n++) publish(pipeline, "x".repeat(200));
      expect(held).toHaveLength(1);
      await Promise.all(held);
    });
    expect(closed).toEqual([reader.socket]);
    expect(waits.filter((ms) => ms === LOOK_MS)).toHaveLength(LOOKS);
  });
});

describe("a hold", () => {
  test("is one at a time, and comes again when it is needed again", async () => {
    const held: (() => Promise<void>)[] = [];
    const pipeline = createPipeline({ hold: (work) => void held.push(work) });
    const one = member(pipeline);
    for (let round = 1; round <= 2; round++) {
      await expectReached("sender-held-up", () => {
        for (let n = 0; n < 4200; n++) publish(pipeline, "x");
      });
      expect(held).toHaveLength(round);
      await held.at(-1)?.();
    }
    expect(await one.arrived(8400)).toHaveLength(8400);
  });

  test("is for nobody who can be told to wait", async () => {
    let holds = 0;
    const { promise: idle, resolve: onIdle } = Promise.withResolvers<void>();
    const pipeline = createPipeline({ hold: () => void (holds += 1), onIdle });
    let acks = 0;
    const receipt = { name: null, ack: () => void (acks += 1) };
    for (let n = 0; n < 4200; n++) pipeline.sequencer.publish({ messages: ["x"], receipt });
    expect(pipeline.sequencer.isFull).toBe(true);
    expect(holds).toBe(0);
    await idle;
    expect(acks).toBe(4200);
  });

  test("that is cut short between two rounds leaves the rest to the loop", async () => {
    const held: Promise<void>[] = [];
    const pipeline = createPipeline({ hold: (work) => void held.push(work()) });
    const one = member(pipeline);
    const { now } = Date;
    let aheadMs = 0;
    vi.spyOn(Date, "now").mockImplementation(() => now() + (aheadMs += 10_000));
    // More than a batch takes: a second round is due when the first is over.
    const sent = numbers(4200).map((number) => number.padEnd(200, "x"));
    for (const message of sent) publish(pipeline, message);
    expect(held).toHaveLength(1);
    await expectReached("hold-cut-short-between-rounds", () => Promise.all(held));
    expect(pipeline.sequencer.isIdle).toBe(false);
    expect(await one.arrived(4200)).toEqual(sent);
  });
});

describe("receipts", () => {
  test("without a message are given where the log ends, and nothing is delivered", async () => {
    const { promise: idle, resolve: onIdle } = Promise.withResolvers<void>();
    const pipeline = createPipeline({ onIdle });
    const one = member(pipeline);
    const acks: Cursor[] = [];
    await expectReached("receipts-alone", () => {
      const receipt = { name: null, ack: (cursor: Cursor) => void acks.push(cursor) };
      pipeline.sequencer.publish({ messages: [], receipt });
    });
    expect(acks).toEqual([{ epoch: "epoch", offset: 0 }]);
    await idle;
    publish(pipeline, "a");
    expect(await one.arrived(1)).toEqual(["a"]);
  });
});
