/** What a subscription hands over, where it goes on, and how it ends. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { subscribe, type Received, type SubscribeOptions } from "../../src/client/main.ts";
import {
  FakeHub,
  failure,
  pass,
  setChance,
  settle,
  suspend,
  useFakeTime,
} from "./support/fake-hub.ts";

useFakeTime();

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
});

function open(options: SubscribeOptions = {}) {
  const url = "wss://hub.example.com/ws/sub/test/news";
  return subscribe(url, { WebSocket: hub.WebSocket, ...options });
}

/** Opens one whose messages, gaps and ends are noted in the order in which they come. */
async function follow(options: SubscribeOptions = {}) {
  const seen: unknown[] = [];
  const subscription = open({
    onMessage({ data }) {
      seen.push(data);
    },
    ...options,
  });
  subscription.addEventListener("gap", ({ detail }) => seen.push(detail));
  subscription.addEventListener("end", ({ detail }) => seen.push(detail));
  await settle();
  return { subscription, seen };
}

/** Reads all that there is now; the loop goes on. */
function read(subscription: AsyncIterable<Received>): Received[] {
  const received: Received[] = [];
  void (async () => {
    for await (const each of subscription) received.push(each);
  })().catch(() => {});
  return received;
}

describe("messages", () => {
  test("10.2, 10.4 have content, place and time", async () => {
    const received = read(open());
    await settle();
    hub.socket.begin("a-4");
    const [first, second] = ["2026-11-27T09:30:01.000Z", "2026-11-27T09:30:07.500Z"];
    const messages = ["a", { base64: "AP+A" }, ""];
    hub.socket.say({
      type: "messages",
      cursor: "a-7",
      at: [
        [1, first],
        [2, second],
      ],
      messages,
    });
    hub.socket.say({ type: "messages", cursor: "a-8", at: first, messages: ["x"] });
    hub.socket.say({ type: "messages", cursor: "a-10", messages: ["y", "z"] });
    await settle();
    expect(received).toEqual([
      { data: "a", cursor: "a-4~1", at: new Date(first) },
      { data: new Uint8Array([0, 255, 128]), cursor: "a-4~2", at: new Date(second) },
      { data: "", cursor: "a-7", at: new Date(second) },
      { data: "x", cursor: "a-8", at: new Date(first) },
      { data: "y", cursor: "a-8~1", at: null },
      { data: "z", cursor: "a-10", at: null },
    ]);
  });

  test("10.1 what a later hub sends is ignored", async () => {
    const { seen } = await follow();
    hub.socket.begin();
    hub.socket.say({ type: "later", cursor: 7 });
    hub.socket.say({ type: "ack", id: "1", cursor: "a-1" });
    hub.socket.say({ type: "messages", cursor: "a-1", messages: ["x"], more: {} });
    await settle();
    expect(seen).toEqual(["x"]);
    expect(hub.socket.isLeft).toBe(false);
  });

  test("a subscription goes on behind the last frame, wherever it is cut off", async () => {
    const { seen } = await follow({ since: "earliest", gap: "close" });
    expect(hub.socket.asked).toEqual({ explain: "1", since: "earliest", gap: "close", wait: "60" });
    hub.socket.end();
    expect((await hub.next()).asked["since"]).toBe("earliest");
    hub.socket.begin("a-0");
    hub.socket.end();
    expect((await hub.next()).asked["since"]).toBe("a-0");
    hub.socket.begin("a-0");
    hub.socket.publish("a-2", "1", "2");
    hub.socket.end();
    expect((await hub.next()).asked).toMatchObject({ since: "a-2", gap: "close" });
    hub.socket.begin("a-2");
    hub.socket.say({ type: "gap", from: "a-2", to: "a-9" });
    hub.socket.end();
    expect((await hub.next()).asked["since"]).toBe("a-9");
    hub.socket.begin("a-9");
    hub.socket.publish("a-10", "3");
    await settle();
    expect(seen).toEqual(["1", "2", { from: "a-2", to: "a-9" }, "3"]);
  });

  test("without since it begins at the present, and after a cut where that was", async () => {
    await follow();
    expect(hub.socket.asked["since"]).toBeUndefined();
    hub.socket.begin("a-7");
    hub.socket.end();
    expect((await hub.next()).asked["since"]).toBe("a-7");
  });
});

describe("a place that was kept", () => {
  test("within a frame: nothing comes twice, however the frames are cut now", async () => {
    const { seen, subscription } = await follow({ since: "a-4~3" });
    expect(hub.socket.asked["since"]).toBe("a-4");
    hub.socket.begin("a-4", true);
    expect(subscription.cursor).toBe("a-4~3");
    hub.socket.publish("a-6", "1", "2");
    hub.socket.end();
    expect((await hub.next()).asked["since"]).toBe("a-6");
    hub.socket.begin("a-6", true);
    hub.socket.publish("a-9", "3", "4", "5");
    await settle();
    expect(seen).toEqual(["4", "5"]);
    expect(subscription.cursor).toBe("a-9");
  });

  test("is what the rest of its frame is counted from", async () => {
    const received = read(open({ since: "a-4~1" }));
    await settle();
    hub.socket.begin("a-4", true);
    hub.socket.publish("a-7", "1", "2", "3");
    await settle();
    expect(received.map(({ cursor }) => cursor)).toEqual(["a-4~2", "a-7"]);
  });

  test("behind a gap nothing is known of it", async () => {
    const { seen } = await follow({ since: "a-4~3" });
    hub.socket.begin("a-4", false);
    hub.socket.say({ type: "gap", from: "a-4", to: "b-0" });
    hub.socket.publish("b-1", "1");
    await settle();
    expect(seen).toEqual([{ from: "a-4", to: "b-0" }, "1"]);
  });

  test("is that of what was handed over, not of what was received", async () => {
    const subscription = open();
    expect(subscription.cursor).toBeNull();
    await settle();
    hub.socket.begin("a-4");
    expect(subscription.cursor).toBe("a-4");
    hub.socket.publish("a-6", "1", "2");
    hub.socket.say({ type: "gap", from: "a-6", to: "a-8" });
    hub.socket.publish("a-9", "3");
    const iterator = subscription[Symbol.asyncIterator]();
    const cursors: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      await iterator.next();
      cursors.push(subscription.cursor);
    }
    expect(cursors).toEqual(["a-4~1", "a-6", "a-9"]);
  });
});

describe("gaps and ends", () => {
  test("behind a gap is a place, too", async () => {
    const { subscription } = await follow();
    hub.socket.begin();
    hub.socket.say({ type: "gap", from: "a-0", to: "b-4" });
    expect(subscription.cursor).toBe("b-4");
  });

  test("are told between the messages, however slow these are taken", async () => {
    const gate = Promise.withResolvers<void>();
    const { seen } = await follow({
      onMessage: async ({ data }) => {
        await gate.promise;
        seen.push(data);
      },
    });
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    hub.socket.say({ type: "gap", from: "a-1", to: "a-4" });
    hub.socket.publish("a-5", "2");
    hub.socket.say({ type: "end", reason: "finished" });
    await settle();
    expect(seen).toEqual([]);
    gate.resolve();
    await settle();
    expect(seen).toEqual(["1", { from: "a-1", to: "a-4" }, "2", { reason: "finished" }]);
  });

  test.each(["finished", "deleted", "a-later-reason"])("10.6 %s is the end", async (reason) => {
    const { subscription, seen } = await follow();
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    hub.socket.say({ type: "end", reason });
    hub.socket.end(1000, "whatever");
    await subscription.done;
    expect(subscription.state).toBe("closed");
    expect(seen).toEqual(["1", { reason }]);
    await pass(60_000);
    hub.nth(1);
  });

  test("the loop ends with it, when it has all", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    hub.socket.say({ type: "end", reason: "finished" });
    expect(hub.socket.isLeft).toBe(true);
    await settle();
    expect(subscription.state).toBe("open");
    const received: unknown[] = [];
    for await (const { data } of subscription) received.push(data);
    expect(received).toEqual(["1"]);
    expect(subscription.state).toBe("closed");
  });

  test("what makes it fail is thrown behind what came before", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    hub.socket.end(4501, "key-rejected");
    await settle();
    expect([subscription.state, subscription.connected]).toEqual(["open", false]);
    const received: unknown[] = [];
    const loop = (async () => {
      for await (const { data } of subscription) received.push(data);
    })();
    expect(await failure(loop)).toMatchObject({ slug: "key-rejected" });
    expect(received).toEqual(["1"]);
    expect(subscription.state).toBe("failed");
  });

  test("without anything that waits they need nobody who reads", async () => {
    const subscription = open();
    const told = vi.fn<() => void>();
    subscription.addEventListener("end", told);
    await settle();
    hub.socket.begin();
    hub.socket.say({ type: "end", reason: "finished" });
    await subscription.done;
    expect(told).toHaveBeenCalledOnce();
  });

  test.each([{ reason: "abandoned" }, {}])("10.6 %j: it waits for the next start", async (end) => {
    const { subscription, seen } = await follow();
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    hub.socket.say({ type: "end", ...end });
    hub.socket.end(1000, "topic-ended");
    expect((await hub.next()).asked["since"]).toBe("a-1");
    hub.socket.begin("a-1");
    hub.socket.publish("a-2", "2");
    await settle();
    expect(seen).toEqual(["1", { reason: end.reason ?? null }, "2"]);
    expect(subscription.state).toBe("open");
  });

  test("9.11 an end that is told again is no news, and is asked for ever more seldom", async () => {
    const { seen } = await follow();
    hub.socket.begin();
    for (const ms of [250, 500, 1000, 2000]) {
      hub.socket.say({ type: "end", reason: "abandoned" });
      hub.socket.end(1000, "topic-ended");
      const { length } = hub.sockets;
      await pass(ms - 2);
      hub.nth(length);
      await pass(2);
      hub.nth(length + 1).begin("a-0");
    }
    hub.socket.publish("a-1", "1");
    hub.socket.say({ type: "end", reason: "abandoned" });
    hub.socket.end(1000, "topic-ended");
    await pass(250);
    hub.nth(6);
    expect(seen).toEqual([{ reason: "abandoned" }, "1", { reason: "abandoned" }]);
  });
});

test("an end without news says nothing of the connections behind it", async () => {
  await follow();
  for (let n = 0; n < 3; n++) {
    hub.socket.begin();
    hub.socket.say({ type: "end", reason: "abandoned" });
    hub.socket.end(1000, "topic-ended");
    await hub.next();
  }
  hub.socket.begin();
  hub.socket.end();
  await pass(250);
  hub.nth(5);
});

describe("a topic that is not live", () => {
  test("9.12 is waited for without an end", async () => {
    const { subscription } = await follow();
    for (let n = 0; n < 20; n++) {
      expect(hub.socket.asked["wait"]).toBe("60");
      hub.socket.refuse(4404, "topic-not-live");
      await hub.next();
    }
    expect(subscription.state).toBe("open");
  });

  test("is asked for again at once where the hub has waited, too", async () => {
    await follow();
    for (let n = 0; n < 5; n++) {
      hub.socket.open();
      await pass(60_000);
      hub.socket.end(4404, "topic-not-live");
      await pass(250);
    }
    hub.nth(6);
  });

  test("is waited for as long as it was wanted, and not longer", async () => {
    setChance(0);
    const { subscription } = await follow({ waitSeconds: 70 });
    expect(hub.socket.asked["wait"]).toBe("60");
    hub.socket.open();
    await pass(60_000);
    hub.socket.end(4404, "topic-not-live");
    expect((await hub.next()).asked["wait"]).toBe("10");
    hub.socket.open();
    await pass(9_500);
    hub.socket.end(4404, "topic-not-live");
    expect((await hub.next()).asked["wait"]).toBeUndefined();
    await pass(499);
    hub.socket.refuse(4404, "topic-not-live");
    await hub.next();
    expect(subscription.state).toBe("open");
    await pass(1);
    hub.socket.refuse(4404, "topic-not-live", { status: 404 });
    expect(await failure(subscription.done)).toMatchObject({ slug: "topic-not-live", status: 404 });
  });

  test("a hub of before does not wait; the last attempt comes when the time is over", async () => {
    const { subscription } = await follow({ waitSeconds: 2 });
    const start = Date.now();
    for (const ms of [0, 250, 750, 1750]) {
      expect(Date.now() - start).toBeLessThanOrEqual(ms);
      hub.socket.refuse(4404, "topic-not-live");
      await hub.next();
    }
    hub.socket.refuse(4404, "topic-not-live");
    expect(await failure(subscription.done)).toMatchObject({ slug: "topic-not-live" });
    expect(Date.now() - start).toBe(2000);
  });

  test("a sleep during the wait makes it no shorter than nothing", async () => {
    await follow({ waitSeconds: 2 });
    hub.socket.refuse(4404, "topic-not-live");
    await settle();
    await suspend(3_600_000);
    expect(hub.nth(2).asked["wait"]).toBeUndefined();
  });

  test.each([0, -1, Number.NaN])("is not waited for at all with %d", async (waitSeconds) => {
    const { subscription } = await follow({ waitSeconds });
    expect(hub.socket.asked["wait"]).toBeUndefined();
    hub.socket.refuse(4404, "topic-not-live");
    expect(await failure(subscription.done)).toMatchObject({ slug: "topic-not-live", code: 4404 });
  });

  test("the same after an end; each wait is one of its own", async () => {
    const { subscription, seen } = await follow({ waitSeconds: 5 });
    for (let n = 0; n < 3; n++) {
      hub.socket.begin("a-0");
      hub.socket.publish(`a-${n}`, n.toString());
      await pass(60_000);
      hub.socket.say({ type: "end", reason: "abandoned" });
      hub.socket.end(1000, "topic-ended");
      expect((await hub.next()).asked["wait"]).toBe("4");
      hub.socket.refuse(4404, "topic-not-live");
      await pass(3000);
    }
    while (subscription.state === "open") {
      hub.socket.begin("a-2");
      hub.socket.say({ type: "end", reason: "abandoned" });
      hub.socket.end(1000, "topic-ended");
      await settle();
      if (subscription.state === "open") await hub.next();
    }
    expect(await failure(subscription.done)).toMatchObject({
      name: "HubError",
      slug: "topic-not-live",
    });
    expect(seen.filter((each) => typeof each !== "string")).toHaveLength(3);
  });

  test("a cut of a topic that has started again is no end", async () => {
    const { subscription } = await follow({ waitSeconds: 5 });
    hub.socket.begin();
    hub.socket.say({ type: "end", reason: "abandoned" });
    hub.socket.end(1000, "topic-ended");
    (await hub.next()).begin();
    await pass(60_000);
    hub.socket.end();
    await hub.next();
    expect(subscription.state).toBe("open");
  });

  test("a cut while it is waited for makes the wait no longer", async () => {
    const { subscription } = await follow({ waitSeconds: 5 });
    for (const ms of [2000, 2000, 1000]) {
      hub.socket.open();
      await pass(ms);
      hub.socket.end();
      await hub.next();
    }
    hub.socket.refuse(4404, "topic-not-live");
    await settle();
    expect(subscription.state).toBe("failed");
  });

  test("a cut of a topic that is live begins no wait", async () => {
    const { subscription } = await follow({ waitSeconds: 5 });
    hub.socket.refuse(4404, "topic-not-live");
    await hub.next();
    hub.socket.begin();
    await pass(60_000);
    hub.socket.end();
    await hub.next();
    hub.socket.refuse(4404, "topic-not-live");
    await settle();
    expect(subscription.state).toBe("open");
  });
});

describe("who reads", () => {
  test("a second loop is an error", async () => {
    const subscription = open();
    subscription[Symbol.asyncIterator]();
    expect(() => subscription[Symbol.asyncIterator]()).toThrow(TypeError);
    expect(() => open({ onMessage() {} })[Symbol.asyncIterator]()).toThrow(TypeError);
  });

  test("a loop that is left closes it", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-2", "1", "2");
    for await (const { data } of subscription) {
      expect(data).toBe("1");
      break;
    }
    expect(subscription.state).toBe("closed");
    expect(hub.socket.isLeft).toBe(true);
    await expect(subscription.done).resolves.toBeUndefined();
  });

  test("close() ends the loop, and drops what waits", async () => {
    const subscription = open();
    const received: unknown[] = [];
    const loop = (async () => {
      for await (const { data } of subscription) {
        received.push(data);
        subscription.close();
      }
    })();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-2", "1", "2");
    hub.socket.publish("a-3", "3");
    await loop;
    expect(received).toEqual(["1"]);
  });

  test("await using closes it", async () => {
    const subscription = open();
    {
      await using held = subscription;
      void held;
    }
    expect(subscription.state).toBe("closed");
  });

  test("a listener alone makes messages flow; beside a loop it hears them, too", async () => {
    for (const isLoop of [false, true]) {
      const subscription = open();
      const received = isLoop ? read(subscription) : [];
      const heard: Received[] = [];
      subscription.addEventListener("message", ({ detail }) => heard.push(detail));
      await settle();
      hub.socket.begin();
      hub.socket.publish("a-2", "1", "2");
      await settle();
      expect(heard.map(({ data }) => data)).toEqual(["1", "2"]);
      expect(received).toEqual(isLoop ? heard : []);
    }
  });

  test("each listener that is added at once hears all, also where messages wait already", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-2", "1", "2");
    const heard: unknown[][] = [[], []];
    for (const each of heard) {
      subscription.addEventListener("message", ({ detail }) => each.push(detail.data));
    }
    await settle();
    expect(heard).toEqual([
      ["1", "2"],
      ["1", "2"],
    ]);
  });

  test("a loop that begins at once reads, though a listener was there before", async () => {
    const subscription = open();
    const heard: Received[] = [];
    subscription.addEventListener("message", ({ detail }) => heard.push(detail));
    const received = read(subscription);
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-2", "1", "2");
    await settle();
    expect(received).toHaveLength(2);
    expect(heard).toEqual(received);
  });

  test("onMessage is awaited, one after the other", async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const seen: string[] = [];
    await follow({
      async onMessage({ data }) {
        seen.push(`begin ${String(data)}`);
        await gates[Number(data)]?.promise;
        seen.push(`end ${String(data)}`);
      },
    });
    hub.socket.begin();
    hub.socket.publish("a-2", "0", "1");
    await settle();
    expect(seen).toEqual(["begin 0"]);
    gates[0]?.resolve();
    await settle();
    expect(seen).toEqual(["begin 0", "end 0", "begin 1"]);
  });

  test.each([
    () => {
      throw new Error("mine");
    },
    () => Promise.reject(new Error("mine")),
  ])("what onMessage throws makes it fail: %s", async (onMessage) => {
    const { subscription } = await follow({ onMessage });
    hub.socket.begin();
    hub.socket.publish("a-2", "1", "2");
    expect(await failure(subscription.done)).toEqual(new Error("mine"));
    expect(hub.socket.isLeft).toBe(true);
  });

  test("what a loop throws closes it", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin();
    hub.socket.publish("a-1", "1");
    const loop = (async () => {
      for await (const _ of subscription) throw new Error("mine");
    })();
    expect(await failure(loop)).toEqual(new Error("mine"));
    expect(subscription.state).toBe("closed");
  });
});

const KIB = 1024;

/** A frame of so many bytes. */
function frameOf(cursor: string, bytes: number, character = "x"): object {
  const bare = { type: "messages", cursor, messages: [""] };
  const size = Buffer.byteLength(character);
  const left = bytes - JSON.stringify(bare).length;
  return { ...bare, messages: [character.repeat(Math.ceil(left / size))] };
}

function acks(): unknown[] {
  return hub.socket.frames.map(({ type, cursor }) => {
    expect(type).toBe("ack");
    return cursor;
  });
}

describe("how much the hub sends", () => {
  test("11.3 is acknowledged at once, and then each 256 KiB that were handed over", async () => {
    const gate: PromiseWithResolvers<void>[] = [];
    const { subscription } = await follow({
      onMessage() {
        const next = Promise.withResolvers<void>();
        gate.push(next);
        return next.promise;
      },
    });
    hub.socket.begin("a-0");
    expect(acks()).toEqual(["a-0"]);
    for (let n = 1; n <= 4; n++) hub.socket.say(frameOf(`a-${n}`, 128 * KIB));
    for (let n = 0; n < 2; n++) {
      await settle();
      expect(acks()).toEqual(["a-0"]);
      gate[n]?.resolve();
    }
    await settle();
    expect(acks()).toEqual(["a-0", "a-2"]);
    gate[2]?.resolve();
    await settle();
    gate[3]?.resolve();
    await settle();
    expect(acks()).toEqual(["a-0", "a-2", "a-4"]);
    expect(subscription.state).toBe("open");
  });

  test("it counts bytes of UTF-8", async () => {
    await follow();
    hub.socket.begin("a-0");
    hub.socket.say(frameOf("a-1", 256 * KIB, "€"));
    await settle();
    expect(acks()).toEqual(["a-0", "a-1"]);
  });

  test("nobody comes back while 256 KiB wait, whatever wakes it", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin("a-0");
    for (let n = 1; n <= 3; n++) hub.socket.say(frameOf(`a-${n}`, 100 * KIB));
    hub.socket.end(4408, "slow-consumer");
    await pass(3_600_000);
    hub.nth(1);
    const iterator = subscription[Symbol.asyncIterator]();
    await iterator.next();
    await pass(60_000);
    hub.nth(1);
    // Asking for the second says that the first was taken.
    await iterator.next();
    await settle();
    expect(hub.nth(2).asked["since"]).toBe("a-3");
  });

  test("taking what waits does not end the backoff", async () => {
    const subscription = open();
    await settle();
    hub.socket.begin("a-0");
    hub.socket.say(frameOf("a-1", 100 * KIB));
    hub.socket.end();
    const iterator = subscription[Symbol.asyncIterator]();
    await iterator.next();
    void iterator.next();
    await pass(248);
    hub.nth(1);
    await pass(2);
    hub.nth(2);
  });

  test("after slow-consumer it acknowledges more often, down to each 32 KiB", async () => {
    await follow();
    for (const kib of [256, 128, 64, 32, 32]) {
      hub.socket.begin("a-0");
      hub.socket.say(frameOf("a-1", kib * KIB - 1));
      await settle();
      expect(acks()).toEqual(["a-0"]);
      hub.socket.say(frameOf("a-2", 60));
      await settle();
      expect(acks()).toEqual(["a-0", "a-2"]);
      hub.socket.end(4408, "slow-consumer");
      await hub.next();
    }
    hub.socket.end(4408, "heartbeats-missed");
  });
});
