/** PROTOCOL.md, 4.3 and 12.8: what the edge remembers of the key store, and for how long. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AnswerCache } from "../../../src/edge/answer-cache.ts";
import type { Unavailable } from "../../../src/edge/key-store.ts";

type Value = { readonly type: "found"; readonly n: number };

const DOWN: Unavailable = { type: "unavailable", reason: "down" };
const HOUR_MS = 3_600_000;

function found(n: number): Value {
  return { type: "found", n };
}

/** A store that answers as it is told, and counts. */
class Store {
  asked = 0;
  answer: () => Promise<Value | Unavailable> = () => Promise.resolve(found(this.asked));
  readonly ask = (): Promise<Value | Unavailable> => {
    this.asked += 1;
    return this.answer();
  };
}

function forget(): void {}

function create(): { get: () => Promise<unknown>; store: Store; cache: AnswerCache<Value> } {
  const [cache, store] = [new AnswerCache<Value>(), new Store()];
  return { cache, store, get: () => cache.get("name", store.ask, forget) };
}

describe("AnswerCache", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  test("asks once while the answer is fresh, and again afterwards", async () => {
    const { get, store } = create();
    const first = await get();
    expect(first).toMatchObject({ type: "answer", value: found(1), atMs: Date.now() });
    vi.advanceTimersByTime(14_999);
    expect(await get()).toEqual(first);
    vi.advanceTimersByTime(1);
    expect(await get()).toMatchObject({ value: found(2) });
    expect(store.asked).toBe(2);
  });

  test("a thousand that ask at once share one question", async () => {
    const { get, store } = create();
    const answers = await Promise.all(Array.from({ length: 1000 }, get));
    expect(store.asked).toBe(1);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  test("while the store is down what was known within the hour still holds", async () => {
    const { get, store } = create();
    await get();
    store.answer = () => Promise.resolve(DOWN);
    vi.advanceTimersByTime(HOUR_MS - 1);
    expect(await get()).toMatchObject({ value: found(1) });
    vi.advanceTimersByTime(1);
    expect(await get()).toEqual(DOWN);
  });

  test("a store that is down is left alone for some seconds, where something is known", async () => {
    const { get, store } = create();
    await get();
    store.answer = () => Promise.resolve(DOWN);
    vi.advanceTimersByTime(60_000);
    for (let n = 0; n < 10; n++) await get();
    expect(store.asked).toBe(2);
    vi.advanceTimersByTime(5000);
    await get();
    expect(store.asked).toBe(3);
  });

  test("nothing known, nothing remembered: a store that is back answers at once", async () => {
    const { get, store } = create();
    store.answer = () => Promise.resolve(DOWN);
    expect(await get()).toEqual(DOWN);
    store.answer = () => Promise.resolve(found(7));
    expect(await get()).toMatchObject({ value: found(7) });
  });

  test("what was forgotten while it was asked for is not kept", async () => {
    const { get, store, cache } = create();
    const { promise, resolve } = Promise.withResolvers<Value>();
    store.answer = () => promise;
    const asked = get();
    cache.delete("name");
    store.answer = () => Promise.resolve(found(2));
    resolve(found(1));
    await asked;
    expect(await get()).toMatchObject({ value: found(2) });
  });

  test("keeps a bounded number of answers", async () => {
    const { cache, store } = create();
    for (let n = 0; n < 10_000; n++) await cache.get(String(n), store.ask, forget);
    const kept = Array.from({ length: 10_000 }, (_, n) => cache.has(String(n))).filter(Boolean);
    expect(kept.length).toBeLessThanOrEqual(4000);
    expect(cache.has("9999")).toBe(true);
  });
});
