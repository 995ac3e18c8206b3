/** A publisher whose store is its caller's: what is not acknowledged outlives the process. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { HubError, openPublisher, type Outbox, type Pending } from "../../src/client/main.ts";
import { FakeHub, failure, pass, settle, useFakeTime } from "./support/fake-hub.ts";

useFakeTime();

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
});

/** A store whose saves end when the test says so. */
class Store implements Outbox {
  readonly kept: readonly Pending[];
  readonly saves: { readonly pending: readonly Pending[]; end: (error?: Error) => void }[] = [];

  constructor(kept: readonly Pending[] = []) {
    this.kept = kept;
  }

  load(): readonly Pending[] {
    return this.kept;
  }

  save(pending: readonly Pending[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.saves.push({
      pending,
      end: (error) => (error === undefined ? resolve() : reject(error)),
    });
    return promise;
  }

  /** Ends the save that is under way. */
  async end(error?: Error): Promise<void> {
    this.saves.at(-1)?.end(error);
    await settle();
  }

  get texts(): unknown[] {
    return this.saves.at(-1)?.pending.map(({ messages }) => messages[0]) ?? [];
  }
}

async function opened(outbox: Outbox) {
  const url = "wss://hub.example.com/ws/pub/test/news";
  const publisher = openPublisher(url, { WebSocket: hub.WebSocket, outbox });
  await settle();
  hub.sockets.at(-1)?.open();
  await settle();
  return publisher;
}

function texts(): unknown[] {
  return hub.socket.frames.map(({ messages }) => (messages as unknown[] | undefined)?.[0]);
}

function ackFirst(): void {
  hub.socket.say({ type: "ack", id: hub.socket.frames[0]?.["id"], cursor: "c-1" });
}

describe("an outbox", () => {
  test("is loaded once, before the first connection; what it holds goes first, by its ids", async () => {
    const kept: Pending[] = [
      { id: "old-1", messages: ["a", { base64: "AP+A" }] },
      { id: "old-2", messages: ["b"] },
    ];
    const { promise, resolve } = Promise.withResolvers<Pending[]>();
    const load = vi.fn<() => Promise<Pending[]>>(() => promise);
    const publisher = await opened({ load, save() {} });
    const answer = publisher.publish("c");
    await pass(60_000);
    expect(hub.sockets).toHaveLength(0);
    resolve(kept);
    await settle();
    hub.nth(1).open();
    await settle();
    expect(hub.socket.frames).toMatchObject([
      { type: "publish", id: "old-1", messages: kept[0]?.messages },
      { id: "old-2", after: "old-1" },
      { after: "old-2", messages: ["c"] },
    ]);
    expect(hub.socket.frames[0]).not.toHaveProperty("after");
    for (const { id } of hub.socket.frames) {
      hub.socket.say({ type: "ack", id, cursor: `c-${String(id)}` });
    }
    expect((await answer).cursor).not.toContain("old");
    hub.socket.end();
    await hub.next();
    expect(load).toHaveBeenCalledOnce();
  });

  test("holds a publish before it is sent; saves never overlap, and each is of all", async () => {
    const store = new Store();
    const publisher = await opened(store);
    await store.end();
    for (const text of ["a", "b", "c"]) publisher.publish(text).catch(() => {});
    await settle();
    expect(store.saves).toHaveLength(2);
    expect(store.texts).toEqual(["a"]);
    expect(hub.socket.sent).toEqual([]);
    await store.end();
    expect(texts()).toEqual(["a"]);
    expect(store.saves).toHaveLength(3);
    expect(store.texts).toEqual(["a", "b", "c"]);
    await store.end();
    expect(texts()).toEqual(["a", "b", "c"]);
    expect(store.saves[2]?.pending[0]).toEqual({
      id: hub.socket.frames[0]?.["id"],
      messages: ["a"],
    });
  });

  test("what was acknowledged is missing in the next save", async () => {
    const store = new Store();
    const publisher = await opened(store);
    await store.end();
    for (const text of ["a", "b"]) publisher.publish(text).catch(() => {});
    await store.end();
    await store.end();
    ackFirst();
    await settle();
    expect(store.texts).toEqual(["b"]);
  });

  test("close comes behind the last save", async () => {
    const store = new Store();
    const publisher = await opened(store);
    await store.end();
    const answer = publisher.publish("a");
    await store.end();
    const closed = vi.fn<() => void>();
    void publisher.close().then(closed);
    ackFirst();
    await answer;
    expect(store.texts).toEqual([]);
    expect(publisher.state).toBe("open");
    await store.end();
    expect(publisher.state).toBe("closed");
    hub.socket.end(1005);
    await settle();
    expect(closed).toHaveBeenCalledOnce();
  });

  test("a save that fails makes it fail", async () => {
    const store = new Store();
    const publisher = await opened(store);
    await store.end();
    const answer = failure(publisher.publish("a"));
    const error = new Error("The disk is full");
    await store.end(error);
    expect(await answer).toBe(error);
    expect(await failure(publisher.done)).toBe(error);
    expect(hub.socket.sent).toEqual([]);
  });

  test("so does a load that fails, or holds what it cannot", async () => {
    const error = new Error("There is no disk");
    const load = () => Promise.reject(error);
    const publisher = await opened({ load, save() {} });
    expect(await failure(publisher.done)).toBe(error);
    const broken = [null] as unknown as Pending[];
    const other = await opened({ load: () => broken, save() {} });
    expect(await failure(other.done)).toBeInstanceOf(TypeError);
    expect(hub.sockets).toHaveLength(0);
  });

  test("a refusal of what it held is told by an event", async () => {
    const publisher = await opened(new Store([{ id: "old-1", messages: ["a"] }]));
    const told: unknown[] = [];
    publisher.addEventListener("state", ({ detail }) => told.push(detail));
    hub.socket.fail("old-1", "message-too-large", 413);
    const error: unknown = expect.any(HubError);
    expect(told).toEqual([{ state: "open", connected: true, error }]);
    expect(told).toMatchObject([{ error: { slug: "message-too-large" } }]);
  });

  test("a finish is kept as one, and finishes the next publisher", async () => {
    const store = new Store();
    const publisher = await opened(store);
    await store.end();
    publisher.finish("last").catch(() => {});
    await settle();
    const [pending] = store.saves.at(-1)?.pending ?? [];
    expect(pending).toEqual({ id: pending?.id, messages: ["last"], finish: true });
    const next = await opened(new Store(pending === undefined ? [] : [pending]));
    expect(hub.socket.frames).toEqual([{ type: "finish", id: pending?.id, messages: ["last"] }]);
    expect(await failure(next.publish("more"))).toBeInstanceOf(TypeError);
  });

  test("a finish out of it that was acknowledged closes the publisher", async () => {
    const outbox = {
      load: () => [{ id: "old-1", messages: [], finish: true as const }],
      save() {},
    };
    const publisher = await opened(outbox);
    ackFirst();
    await publisher.done;
    expect(publisher.state).toBe("closed");
  });
});
