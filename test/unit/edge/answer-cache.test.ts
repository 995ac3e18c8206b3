/** PROTOCOL.md, 4.3 and 12.10: what the edge remembers of the key store, and for how long. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AnswerCache, type CachedAnswer } from "../../../src/edge/answer-cache.ts";
import type { Unavailable, Unreadable } from "../../../src/edge/key-store.ts";

type Value = { readonly type: "found"; readonly n: number } | Unreadable;
type Given = CachedAnswer<Value | Unavailable>;

const DOWN: Unavailable = { type: "unavailable", reason: "down" };
const BAD: Unreadable = { type: "unreadable", reason: "bad" };
const FRESH_MS = 15_000;
const PAUSE_MS = 5000;
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

function never(): Promise<Value> {
  return new Promise(() => {});
}

/** A cache, and one name in it. */
class Subject {
  readonly store = new Store();
  readonly cache: AnswerCache<Value>;
  readonly #name: string;

  constructor(cache = new AnswerCache<Value>(({ type }) => type === "found"), name = "name") {
    this.cache = cache;
    this.#name = name;
  }

  readonly get = (): Promise<Given> => this.cache.get(this.#question());
  readonly askAnew = (): Promise<Given> => this.cache.askAnew(this.#question());
  readonly getNewerThan = (n: number): Promise<Given> =>
    this.cache.getSuch(this.#question(), (value) => value.type !== "found" || value.n > n);

  #question() {
    return { name: this.#name, ask: this.store.ask, keepAlive: () => {} };
  }
}

describe("AnswerCache", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  test("asks once while the answer is fresh, and again afterwards", async () => {
    const { get, store } = new Subject();
    expect(await get()).toEqual({ value: found(1), isFresh: true });
    vi.advanceTimersByTime(FRESH_MS - 1);
    expect(await get()).toEqual({ value: found(1), isFresh: false });
    vi.advanceTimersByTime(1);
    expect(await get()).toEqual({ value: found(2), isFresh: true });
    expect(store.asked).toBe(2);
  });

  test("an answer is as old as its question", async () => {
    const { get, store } = new Subject();
    const { promise, resolve } = Promise.withResolvers<Value>();
    store.answer = () => promise;
    const first = get();
    vi.advanceTimersByTime(FRESH_MS);
    resolve(found(1));
    await first;
    await get();
    expect(store.asked).toBe(2);
  });

  test("a thousand that ask at once share one question, which is fresh for the first alone", async () => {
    const { get, store } = new Subject();
    const answers = await Promise.all(Array.from({ length: 1000 }, get));
    expect(store.asked).toBe(1);
    expect(answers.every(({ value }) => value === answers[0]?.value)).toBe(true);
    expect(answers.map(({ isFresh }) => isFresh)).toEqual([true, ...Array(999).fill(false)]);
  });

  describe("while the store is down", () => {
    test("what was known within the hour still holds", async () => {
      const { get, store } = new Subject();
      await get();
      store.answer = () => Promise.resolve(DOWN);
      vi.advanceTimersByTime(HOUR_MS - 1);
      expect(await get()).toEqual({ value: found(1), isFresh: false });
      vi.advanceTimersByTime(1);
      expect((await get()).value).toEqual(DOWN);
    });

    test("it is left alone for some seconds, where something is known", async () => {
      const { get, store } = new Subject();
      await get();
      store.answer = () => Promise.resolve(DOWN);
      vi.advanceTimersByTime(60_000);
      for (let n = 0; n < 10; n++) await get();
      vi.advanceTimersByTime(PAUSE_MS - 1);
      await get();
      expect(store.asked).toBe(2);
      vi.advanceTimersByTime(1);
      await get();
      expect(store.asked).toBe(3);
    });

    test("nothing known, nothing remembered: a store that is back answers at once", async () => {
      const { get, store } = new Subject();
      store.answer = () => Promise.resolve(DOWN);
      expect((await get()).value).toEqual(DOWN);
      store.answer = () => Promise.resolve(found(7));
      expect((await get()).value).toEqual(found(7));
    });

    test("the failure belongs to its entry: others are asked for as ever", async () => {
      const one = new Subject();
      const second = new Subject(one.cache, "second");
      await Promise.all([one.get(), second.get()]);
      vi.advanceTimersByTime(FRESH_MS);
      one.store.answer = () => Promise.resolve(DOWN);
      await one.get();
      expect(await second.get()).toEqual({ value: found(2), isFresh: true });
    });

    test("who asks anew hears of it, and gets nothing stale", async () => {
      const { get, askAnew, getNewerThan, store } = new Subject();
      await get();
      store.answer = () => Promise.resolve(DOWN);
      expect((await askAnew()).value).toEqual(DOWN);
      expect((await getNewerThan(1)).value).toEqual(DOWN);
      vi.advanceTimersByTime(FRESH_MS);
      expect((await getNewerThan(0)).value).toEqual(DOWN);
    });

    test("what was forgotten meanwhile is not given as stale", async () => {
      const { get, cache, store } = new Subject();
      await get();
      vi.advanceTimersByTime(FRESH_MS);
      const { promise, resolve } = Promise.withResolvers<Unavailable>();
      store.answer = () => promise;
      const asked = get();
      cache.forget("name");
      resolve(DOWN);
      expect((await asked).value).toEqual(DOWN);
    });
  });

  describe("a row that cannot be read", () => {
    test("is its own answer, given to nobody again, and ends what was known", async () => {
      const { get, store } = new Subject();
      await get();
      vi.advanceTimersByTime(FRESH_MS);
      store.answer = () => Promise.resolve(BAD);
      expect((await get()).value).toEqual(BAD);
      expect((await get()).value).toEqual(BAD);
      expect(store.asked).toBe(3);
      store.answer = () => Promise.resolve(DOWN);
      expect((await get()).value).toEqual(DOWN);
    });

    test("pauses nothing: a replaced secret of another domain is out after 15 seconds", async () => {
      const bad = new Subject();
      const good = new Subject(bad.cache, "good");
      bad.store.answer = () => Promise.resolve(BAD);
      await good.get();
      for (let second = 0; second < 15; second += 3) {
        await bad.get();
        vi.advanceTimersByTime(3000);
      }
      await bad.get();
      expect((await good.get()).value).toEqual(found(2));
    });
  });

  test("asks anew although the answer is fresh, and remembers that one", async () => {
    const { get, askAnew } = new Subject();
    await get();
    expect(await askAnew()).toEqual({ value: found(2), isFresh: true });
    expect(await get()).toEqual({ value: found(2), isFresh: false });
  });

  test("asks anew although a question is under way, which may have been too early", async () => {
    const { get, askAnew, store } = new Subject();
    const { promise, resolve } = Promise.withResolvers<Value>();
    store.answer = () => promise;
    const early = get();
    store.answer = () => Promise.resolve(found(2));
    expect(await askAnew()).toEqual({ value: found(2), isFresh: true });
    resolve(found(1));
    expect((await early).value).toEqual(found(1));
    expect((await get()).value).toEqual(found(2));
  });

  test("what is not newer than asked for is not good enough, remembered or under way", async () => {
    const { get, getNewerThan, store } = new Subject();
    await get();
    expect(await getNewerThan(0)).toEqual({ value: found(1), isFresh: false });
    expect(await getNewerThan(1)).toEqual({ value: found(2), isFresh: true });
    vi.advanceTimersByTime(FRESH_MS);
    const early = get();
    store.answer = () => Promise.resolve(found(9));
    expect(await getNewerThan(3)).toEqual({ value: found(9), isFresh: true });
    expect((await early).value).toEqual(found(3));
    expect(store.asked).toBe(4);
  });

  test("who asked for this very call takes what the store says, though it is no newer", async () => {
    const { getNewerThan, store } = new Subject();
    expect(await getNewerThan(100)).toEqual({ value: found(1), isFresh: true });
    expect(store.asked).toBe(1);
  });

  test("what was forgotten while it was asked for is not kept", async () => {
    const { get, store, cache } = new Subject();
    const { promise, resolve } = Promise.withResolvers<Value>();
    store.answer = () => promise;
    const asked = get();
    cache.forget("name");
    store.answer = () => Promise.resolve(found(2));
    resolve(found(1));
    await asked;
    expect((await get()).value).toEqual(found(2));
  });

  test("forgets what is meant, kept or under way, and nothing else", async () => {
    const one = new Subject();
    const others = ["second", "third"].map((name) => new Subject(one.cache, name));
    await Promise.all([one.get(), ...others.map((other) => other.get())]);
    one.cache.forgetWhere((name, value) => name !== "third" && value !== null);
    expect(["name", "second", "third"].map((name) => one.cache.has(name))).toEqual([
      false,
      false,
      true,
    ]);
    const underWay = one.get();
    one.cache.forgetWhere((name, value) => name === "name" && value === null);
    await underWay;
    expect(one.cache.has("name")).toBe(false);
  });

  describe("whoever shares a question that is cut off", () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] }));

    test("asks, and once for all of them", async () => {
      const { get, store } = new Subject();
      store.answer = never;
      void get();
      const sharers = [get(), get(), get()];
      const { promise, resolve } = Promise.withResolvers<Value>();
      store.answer = () => promise;
      await vi.advanceTimersByTimeAsync(3000);
      resolve(found(2));
      const answers = await Promise.all(sharers);
      expect(answers.map(({ value }) => value)).toEqual([found(2), found(2), found(2)]);
      expect(store.asked).toBe(2);
    });

    test("gives up when that one is cut off as well", async () => {
      const { get, store } = new Subject();
      store.answer = never;
      void get();
      const [asks, waits] = [get(), get()];
      void asks;
      await vi.advanceTimersByTimeAsync(3000);
      await vi.advanceTimersByTimeAsync(3000);
      expect(await waits).toMatchObject({ value: { type: "unavailable" }, isFresh: false });
      expect(store.asked).toBe(2);
    });
  });

  test("leaves no timer behind", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    const { get, askAnew, getNewerThan } = new Subject();
    await Promise.all([get(), get(), askAnew(), getNewerThan(5)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("keeps a bounded number of answers", async () => {
    const { cache, store } = new Subject();
    for (let n = 0; n < 10_000; n++) {
      await cache.get({ name: String(n), ask: store.ask, keepAlive: () => {} });
    }
    const kept = Array.from({ length: 10_000 }, (_, n) => cache.has(String(n))).filter(Boolean);
    expect(kept.length).toBeLessThanOrEqual(4000);
    expect(cache.has("9999")).toBe(true);
  });
});
