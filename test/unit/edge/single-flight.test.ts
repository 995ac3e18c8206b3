/** Questions that several requests share, and what becomes of them when the one that asked is cut off. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SingleFlight } from "../../../src/edge/single-flight.ts";

interface Value {
  readonly n: number;
}

/** A question that waits to be answered, and what it did. */
function create(flights = new SingleFlight<Value>()) {
  const landed: Value[] = [];
  const kept: Promise<unknown>[] = [];
  return {
    flights,
    landed,
    kept,
    begin: (ask: (setWaiting: (isWaiting: boolean) => void) => Promise<Value>) =>
      flights.begin("name", ask, {
        keepAlive: (work) => void kept.push(work),
        land: (answer) => void landed.push(answer),
      }),
  };
}

function never(): Promise<Value> {
  return new Promise(() => {});
}

describe("SingleFlight", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("who joins gets the same answer, and only the request that asked keeps it alive", async () => {
    const { flights, landed, kept, begin } = create();
    const { promise, resolve } = Promise.withResolvers<Value>();
    const own = begin(() => promise);
    const joined = [flights.join("name"), flights.join("name")];
    resolve({ n: 1 });
    expect(await Promise.all([own, ...joined])).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }]);
    expect(landed).toEqual([{ n: 1 }]);
    expect(kept).toEqual([own]);
  });

  test("nothing is under way before and after, nor under another name", async () => {
    const { flights, begin } = create();
    expect(flights.join("name")).toBeNull();
    const own = begin(() => Promise.resolve({ n: 1 }));
    expect(flights.join("other")).toBeNull();
    await own;
    expect(flights.join("name")).toBeNull();
    expect(flights.names()).toEqual([]);
  });

  test("who shares a question that is never answered waits no longer than a query may take", async () => {
    const { flights, begin } = create();
    void begin(never);
    await vi.advanceTimersByTimeAsync(1000);
    const joined = flights.join("name");
    const settled = vi.fn<(answer: unknown) => void>();
    void joined?.then(settled);
    await vi.advanceTimersByTimeAsync(1999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toHaveBeenCalledWith("lost");
    // The next one asks for itself.
    expect(flights.join("name")).toBeNull();
  });

  test("who comes when the patience is over does not wait at all", async () => {
    const { flights, begin } = create();
    void begin(never);
    vi.setSystemTime(Date.now() + 60_000);
    const joined = flights.join("name");
    await vi.advanceTimersByTimeAsync(0);
    expect(await joined).toBe("lost");
  });

  test("who shares a question that waits in line waits with it, and then as long as a query may take", async () => {
    const { flights, begin } = create();
    const asked = vi.fn<(setWaiting: (isWaiting: boolean) => void) => Promise<Value>>(never);
    void begin(asked);
    const joined = flights.join("name");
    const settled = vi.fn<(answer: unknown) => void>();
    void joined?.then(settled);
    asked.mock.lastCall?.[0](true);
    await vi.advanceTimersByTimeAsync(15_000);
    asked.mock.lastCall?.[0](false);
    await vi.advanceTimersByTimeAsync(2999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toHaveBeenCalledWith("lost");
  });

  test("leaves no timer behind", async () => {
    const { flights, begin } = create();
    const own = begin(() => Promise.resolve({ n: 1 }));
    await Promise.all([own, flights.join("name")]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a question that was let go is answered to who asked, and does not land", async () => {
    const { flights, landed, begin } = create();
    const { promise, resolve } = Promise.withResolvers<Value>();
    const own = begin(() => promise);
    flights.letGo("name");
    expect(flights.join("name")).toBeNull();
    resolve({ n: 1 });
    expect(await own).toEqual({ n: 1 });
    expect(landed).toEqual([]);
  });

  test("a later question takes the place of an earlier one, whichever is answered first", async () => {
    const { flights, landed, begin } = create();
    const [first, second] = [Promise.withResolvers<Value>(), Promise.withResolvers<Value>()];
    const early = begin(() => first.promise);
    const late = begin(() => second.promise);
    first.resolve({ n: 1 });
    expect(await early).toEqual({ n: 1 });
    const joined = flights.join("name");
    second.resolve({ n: 2 });
    expect(await Promise.all([late, joined])).toEqual([{ n: 2 }, { n: 2 }]);
    expect(landed).toEqual([{ n: 2 }]);
  });

  test("a question that fails is over as well: who asked hears why, who joined that it is lost", async () => {
    const { flights, kept, begin } = create();
    const own = begin(() => Promise.reject(new Error("A bug")));
    const joined = flights.join("name");
    await expect(own).rejects.toThrow("A bug");
    expect(await joined).toBe("lost");
    await Promise.allSettled(kept);
    expect(flights.join("name")).toBeNull();
    expect(vi.getTimerCount()).toBe(0);
  });
});
