/**
 * How long messages wait to share a row of a durable log. The test holds every wait that is longer than a round's, and
 * ends it; its clock stands still, and goes when the test says so.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import type { Publication } from "../../../src/topic/publication.ts";
import { LINGER_MS, Sequencer } from "../../../src/topic/sequencer.ts";
import { Clock } from "../../support-in-workerd/clock.ts";

/** Items in the order in which they come; whoever is early waits. */
class Arrivals<Item> {
  readonly all: Item[] = [];
  #taken = 0;
  #wake: () => void = () => {};

  add(item: Item): void {
    this.all.push(item);
    this.#wake();
  }

  async next(): Promise<Item> {
    for (;;) {
      const item = this.all[this.#taken];
      if (item !== undefined) {
        this.#taken += 1;
        return item;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

interface HeldWait {
  readonly ms: number;
  readonly end: () => void;
}

let clock: Clock;
let topic: Topic;
let waits: Arrivals<HeldWait>;
let rows: Arrivals<Message[]>;
let rests: Arrivals<true>;

beforeEach(() => {
  clock = new Clock();
  waits = new Arrivals();
  rows = new Arrivals();
  rests = new Arrivals();
  const wait = scheduler.wait.bind(scheduler);
  scheduler.wait = (ms, options) => {
    if (ms <= LINGER_MS) return wait(ms, options);
    return new Promise((resolve) => waits.add({ ms, end: resolve }));
  };
});

afterEach(async () => {
  // No wait of this test's is another's.
  await topic.rest();
  // Gives back `scheduler.wait`, too.
  clock[Symbol.dispose]();
});

/** A log that is a row a batch, by a policy that the test may change. */
class Topic {
  delayMs: number;
  readonly #sequencer: Sequencer;

  constructor(delayMs: number, isDurable = true) {
    this.delayMs = delayMs;
    const head = { epoch: "epoch", offset: 0 };
    const append = (publications: readonly Publication[]): Batch | null => {
      const messages = publications.flatMap((publication) => publication.messages);
      if (messages.length === 0) return null;
      rows.add(messages);
      const first = head.offset + 1;
      head.offset += messages.length;
      return Batch.ofMessages({ epoch: "epoch", first, last: head.offset, atMs: 0 }, messages);
    };
    const fanOut = new FanOut({ maxBacklogBytes: () => Infinity, close: () => {} });
    this.#sequencer = new Sequencer({ append, head, isDurable }, fanOut, {
      historyDelayMs: () => this.delayMs,
      onAppended: () => {},
      onLogFailure: () => {},
      onIdle: () => rests.add(true),
      hold: () => {},
      onFailure: () => {},
    });
  }

  publish(...messages: Message[]): void {
    this.#sequencer.publish({ messages, receipt: null });
  }

  /** Answers a publisher of whom nothing is published. */
  answer(): void {
    this.#sequencer.publish({ messages: [], receipt: { name: null, ack: () => {} } });
  }

  /** Ends all waits, until nothing is under way. */
  async rest(): Promise<void> {
    this.delayMs = 0;
    while (!this.#sequencer.isIdle) {
      for (const { end } of waits.all) end();
      await scheduler.wait(LINGER_MS);
    }
  }

  /** Publishes one, and waits until the topic waits for the next. */
  async first(): Promise<HeldWait> {
    this.publish("first");
    await rows.next();
    return waits.next();
  }
}

/** Lets the clock go on. */
function pass(ms: number): void {
  clock.set(clock.nowMs + ms);
}

function texts(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n));
}

describe("6.6 history_delay_ms", () => {
  test("a lone message goes at once, the first one and one after a rest", async () => {
    topic = new Topic(1000);
    topic.publish("first");
    expect(rows.all).toEqual([["first"]]);
    const wait = await waits.next();
    expect(wait.ms).toBe(500);
    // A timer that ends before the clock has come so far is no reason to wait again.
    wait.end();
    await rests.next();
    topic.publish("second");
    expect(rows.all).toEqual([["first"], ["second"]]);
  });

  test("one that follows waits so long for others, and no longer", async () => {
    topic = new Topic(1000);
    await topic.first();
    pass(10);
    topic.publish("a");
    const wait = await waits.next();
    expect(wait.ms).toBe(1000);
    pass(200);
    topic.publish("b", "c");
    // Nothing but the wait's end lets them go.
    await scheduler.wait(LINGER_MS);
    expect(rows.all).toHaveLength(1);
    wait.end();
    expect(await rows.next()).toEqual(["a", "b", "c"]);
  });

  test("who comes when a row is due takes along all that wait", async () => {
    topic = new Topic(1000);
    await topic.first();
    pass(10);
    topic.publish("a");
    await waits.next();
    pass(490);
    topic.publish("b");
    expect(await rows.next()).toEqual(["a", "b"]);
  });

  test("what came during a round has waited so long already", async () => {
    topic = new Topic(1000);
    topic.publish("first");
    topic.publish("a");
    pass(30);
    // It waits no longer for those that come after it.
    topic.publish("b");
    pass(10);
    const wait = await waits.next();
    expect(wait.ms).toBe(960);
    wait.end();
    expect(await rows.next()).toEqual(["first"]);
    expect(await rows.next()).toEqual(["a", "b"]);
  });

  test("a receipt alone is no row: who comes after it does not wait for another", async () => {
    topic = new Topic(1000);
    topic.answer();
    topic.publish("a");
    expect(await Promise.race([rows.next(), waits.next()])).toEqual(["a"]);
  });

  test("a clock that was set back lengthens no wait", async () => {
    topic = new Topic(1000);
    topic.publish("first");
    topic.publish("a");
    pass(-3_600_000);
    expect((await waits.next()).ms).toBe(1000);
  });

  test.each([
    { what: "0", delayMs: 0, isDurable: true },
    { what: "a topic without history", delayMs: 1000, isDurable: false },
  ])("$what waits for nobody", async ({ delayMs, isDurable }) => {
    topic = new Topic(delayMs, isDurable);
    for (const message of texts(3)) {
      topic.publish(message);
      expect(await rows.next()).toEqual([message]);
    }
    await rests.next();
    expect(waits.all).toEqual([]);
  });

  test("16.3 a change holds from the next message", async () => {
    topic = new Topic(1000);
    await topic.first();
    pass(10);
    topic.publish("a");
    await waits.next();
    topic.delayMs = 0;
    topic.publish("b");
    expect(await rows.next()).toEqual(["a", "b"]);
    await rests.next();
    topic.delayMs = 100;
    topic.publish("c");
    topic.publish("d");
    expect(await rows.next()).toEqual(["c"]);
    expect((await waits.next()).ms).toBe(100);
  });

  test.each([
    { delayMs: 55, enough: 16 },
    { delayMs: 1000, enough: 128 },
  ])("of $delayMs ms ends when $enough messages share the row", async ({ delayMs, enough }) => {
    topic = new Topic(delayMs);
    await topic.first();
    const messages = texts(enough);
    topic.publish(...messages.slice(0, -1));
    await waits.next();
    topic.publish(...messages.slice(-1));
    expect(await rows.next()).toEqual(messages);
  });

  test("ends when a batch is full", async () => {
    topic = new Topic(1000);
    await topic.first();
    topic.publish("a");
    await waits.next();
    const large = "x".repeat(512 * 1024);
    topic.publish(large);
    expect(await rows.next()).toEqual(["a"]);
    expect(await rows.next()).toEqual([large]);
  });
});
