/** PROTOCOL.md, 4.3: queries stand in line, and neither wait for ever nor flood the key store. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Unavailable } from "../../../src/edge/key-store.ts";
import { QueryQueue } from "../../../src/edge/query-queue.ts";

interface Value {
  readonly type: "value";
  readonly n: number;
}
type Outcome = Value | Unavailable;

const ROOM = 50;
const DOWN: Unavailable = { type: "unavailable", reason: "down" };
const NO_ANSWER = { type: "unavailable", reason: "No answer within 2000 ms" };
const TOO_MANY = { type: "unavailable", reason: "Too many queries wait in line" };

describe("QueryQueue", () => {
  let queue: QueryQueue;
  /** How to answer the queries that have begun, by their number. */
  let begun: Map<number, (answer: Outcome) => void>;
  let order: number[];
  let most: number;

  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
    });
    queue = new QueryQueue();
    begun = new Map();
    order = [];
    most = 0;
  });
  afterEach(() => void vi.useRealTimers());

  function ask(n: number, setWaiting: (isWaiting: boolean) => void = () => {}): Promise<Outcome> {
    return queue.run<Value>(() => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      begun.set(n, resolve);
      order.push(n);
      most = Math.max(most, begun.size);
      return promise;
    }, setWaiting);
  }

  function askMany(count: number, from = 0): Promise<Outcome>[] {
    return Array.from({ length: count }, (_, n) => ask(from + n));
  }

  /** Lets a query end, and whoever is next begin. */
  async function answer(n: number, outcome: Outcome = { type: "value", n }): Promise<void> {
    begun.get(n)?.(outcome);
    begun.delete(n);
    await vi.advanceTimersByTimeAsync(0);
  }

  test("lets no more begin at a time, and all in the order of their coming", async () => {
    const answers = askMany(200);
    await vi.advanceTimersByTimeAsync(0);
    expect(order).toHaveLength(ROOM);
    for (let n = 0; n < 200; n++) await answer(n);
    expect(order).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(most).toBe(ROOM);
    expect(await Promise.all(answers)).toEqual(
      Array.from({ length: 200 }, (_, n) => ({ type: "value", n })),
    );
  });

  test("nobody who comes later passes who waits", async () => {
    void askMany(ROOM + 1);
    begun.get(0)?.({ type: "value", n: 0 });
    await Promise.resolve();
    void ask(1000);
    await vi.advanceTimersByTimeAsync(0);
    expect(order.slice(ROOM)).toEqual([ROOM]);
  });

  test("a place is free again when its query fails, whichever way", async () => {
    const failing = Array.from({ length: ROOM }, () =>
      queue.run<Value>(
        () => Promise.reject(new Error("a bug")),
        () => {},
      ),
    );
    await Promise.allSettled(failing);
    const answers = askMany(ROOM);
    for (let n = 0; n < ROOM; n++) await answer(n, DOWN);
    expect(await Promise.all(answers)).toEqual(Array.from({ length: ROOM }, () => DOWN));
    void ask(1000);
    expect(order.at(-1)).toBe(1000);
  });

  test("the time in line is not the query's, which may take what it takes", async () => {
    void Promise.all(askMany(ROOM));
    const waiting = ask(1000);
    const settled = vi.fn<(outcome: Outcome) => void>();
    void waiting.then(settled);
    await vi.advanceTimersByTimeAsync(3999);
    await answer(0);
    expect(order.at(-1)).toBe(1000);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(settled).not.toHaveBeenCalled();
    await answer(1000);
    expect(await waiting).toEqual({ type: "value", n: 1000 });
  });

  test("who waits behind a store that answers nobody hears that at once", async () => {
    void Promise.all(askMany(ROOM * 2));
    const waiting = ask(1000);
    await vi.advanceTimersByTimeAsync(2500);
    await answer(0, DOWN);
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toEqual(NO_ANSWER);
    // Its place in line is gone.
    for (let n = 0; n < ROOM * 2; n++) await answer(n);
    expect(order).not.toContain(1000);
  });

  test("a failure before one came, or beside answers, says nothing to who waits", async () => {
    void Promise.all(askMany(ROOM * 2));
    await answer(0, DOWN);
    await vi.advanceTimersByTimeAsync(1);
    const waiting = ask(1000);
    const settled = vi.fn<(outcome: Outcome) => void>();
    void waiting.then(settled);
    await vi.advanceTimersByTimeAsync(1000);
    expect(settled).not.toHaveBeenCalled();
    await answer(1);
    await answer(2, DOWN);
    await vi.advanceTimersByTimeAsync(1000);
    expect(settled).not.toHaveBeenCalled();
  });

  test("who waits behind a store that answers slowly is let go after twenty seconds", async () => {
    // Queries that never end give their places away; who comes looks for them, too.
    void Promise.all(askMany(ROOM * 7));
    const waiting = ask(1000);
    const settled = vi.fn<(outcome: Outcome) => void>();
    void waiting.then(settled);
    await vi.advanceTimersByTimeAsync(19_999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toHaveBeenCalledWith(TOO_MANY);
  }, 30_000);

  test("the line is bounded", async () => {
    void Promise.all(askMany(ROOM + 5000));
    expect(await ask(9999)).toEqual(TOO_MANY);
  });

  test("a place whose request was cut off is given away after four seconds", async () => {
    void askMany(ROOM);
    await vi.advanceTimersByTimeAsync(3500);
    const waiting = ask(1000);
    await vi.advanceTimersByTimeAsync(3999);
    expect(order).not.toContain(1000);
    await vi.advanceTimersByTimeAsync(1);
    expect(order).toContain(1000);
    await answer(1000);
    expect(await waiting).toEqual({ type: "value", n: 1000 });
  });

  test("who comes takes such a place at once", async () => {
    void askMany(ROOM);
    await vi.advanceTimersByTimeAsync(3999);
    void ask(1000);
    expect(order).not.toContain(1000);
    await vi.advanceTimersByTimeAsync(1);
    void ask(1001);
    await vi.advanceTimersByTimeAsync(0);
    expect(order.slice(ROOM).toSorted((one, other) => one - other)).toEqual([1000, 1001]);
  });

  test("says when it has to wait in line, and when no more", async () => {
    const setWaiting = vi.fn<(isWaiting: boolean) => void>();
    await Promise.race([ask(0, setWaiting), Promise.resolve()]);
    expect(setWaiting).not.toHaveBeenCalled();
    void Promise.all(askMany(ROOM, 1));
    void ask(1000, setWaiting);
    expect(setWaiting.mock.calls).toEqual([[true]]);
    await answer(0);
    await answer(1);
    expect(setWaiting.mock.calls).toEqual([[true], [false]]);
  });

  test("leaves no timer behind", async () => {
    const answers = askMany(ROOM * 2);
    for (let n = 0; n < ROOM * 2; n++) await answer(n);
    await Promise.all(answers);
    expect(vi.getTimerCount()).toBe(0);
  });
});
