/** What a publisher sends, in which order, and what becomes of it (PROTOCOL.md, 10.7 to 10.11, 10.14). */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { HubError, openPublisher, type PublisherOptions } from "../../src/client/main.ts";
import { FakeHub, failure, pass, settle, useFakeTime } from "./support/fake-hub.ts";

useFakeTime();

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
});

function open(options: PublisherOptions = {}) {
  const url = "wss://hub.example.com/ws/pub/test/news";
  return openPublisher(url, { WebSocket: hub.WebSocket, ...options });
}

/** Opens one that the hub has let in. */
async function opened(options: PublisherOptions = {}) {
  const publisher = open(options);
  await settle();
  hub.socket.open();
  await settle();
  return publisher;
}

/** What is on the wire of the newest socket: each frame's messages, after which one it comes, and its id. */
function wire() {
  return hub.socket.frames.map(({ id, after, messages }) => ({ id, after, messages }));
}

function texts(): unknown[] {
  return hub.socket.frames.map(({ messages }) => (messages as unknown[] | undefined)?.[0]);
}

/** The id of what was sent with this as the first message. */
function idOf(text: string): unknown {
  return hub.sockets
    .flatMap(({ frames }) => frames)
    .find(({ messages }) => {
      return Array.isArray(messages) && messages[0] === text;
    })?.["id"];
}

function ack(text: string, cursor = `c-${text}`): void {
  hub.socket.say({ type: "ack", id: idOf(text), cursor });
}

function refuse(text: string, slug: string, status: number, retryAfter?: number): void {
  hub.socket.fail(idOf(text), slug, status, retryAfter);
}

/** Publishes each; notes what becomes of it. */
function publishAll(publisher: ReturnType<typeof open>, ...all: string[]) {
  const settled: Record<string, unknown> = {};
  for (const text of all) {
    publisher.publish(text).then(
      ({ cursor }) => (settled[text] = cursor),
      (error: unknown) => (settled[text] = error instanceof HubError ? error.slug : error),
    );
  }
  return settled;
}

describe("the handshake", () => {
  test("3.1 says how often it gives a sign of life, and displaces nobody", async () => {
    open();
    await settle();
    expect(hub.socket.asked).toEqual({ explain: "1", heartbeat: "10" });
    open({ takeover: true, heartbeatSeconds: 30 });
    await settle();
    expect(hub.socket.asked).toEqual({ explain: "1", heartbeat: "30", takeover: "1" });
  });

  test("7.4 heartbeats are as often as it says, and each 10 s at least", async () => {
    for (const [heartbeatSeconds, count] of [
      [4, 11],
      [10, 5],
      [300, 5],
    ]) {
      await opened({ heartbeatSeconds });
      await pass(40_000);
      expect(hub.socket.heartbeats).toBe(count);
    }
  });

  test.each([0, -1, 0.5, Number.NaN])("a number that is %d is an error at once", (number) => {
    expect(() => open({ heartbeatSeconds: number })).toThrow(RangeError);
    expect(() => open({ maxPending: number })).toThrow(RangeError);
    expect(() => open({ maxPendingBytes: number })).toThrow(RangeError);
  });

  test("5.5 a topic that has a publisher is tried again", async () => {
    const publisher = open();
    await settle();
    hub.socket.refuse(4409, "publisher-conflict");
    await hub.next();
    expect(publisher.state).toBe("open");
  });

  test.each([
    [4509, "publisher-displaced"],
    [4504, "topic-deleted"],
    [4501, "key-rejected"],
  ])("%i %s is final, for all that is under way", async (code, slug) => {
    const publisher = await opened({ maxPending: 1 });
    const settled = publishAll(publisher, "1", "2");
    hub.socket.end(code, slug);
    expect(await failure(publisher.done)).toMatchObject({ code, slug });
    await settle();
    expect(settled).toEqual({ 1: slug, 2: slug });
    expect(await failure(publisher.publish("3"))).toBeInstanceOf(TypeError);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("what is published", () => {
  test("10.7 goes in frames with ids of its own, each after the one before, ids first", async () => {
    const publisher = await opened();
    const settled = publishAll(publisher, "a", "b");
    const third = publisher.publish([
      "c",
      new Uint8Array([0, 255, 128]),
      new Uint16Array([1]).buffer,
    ]);
    const [a, b, c] = wire();
    expect(hub.socket.sent[1]).toMatch(/^\{"type":"publish","id":"[!-~]{1,64}","after":"/);
    expect(a).toEqual({ id: a?.id, messages: ["a"] });
    expect(b).toEqual({ id: b?.id, after: a?.id, messages: ["b"] });
    const bytes = [{ base64: "AP+A" }, { base64: "AQA=" }];
    expect(c).toEqual({ id: c?.id, after: b?.id, messages: ["c", ...bytes] });
    expect(new Set([a?.id, b?.id, c?.id]).size).toBe(3);
    ack("a");
    ack("b");
    ack("c");
    expect(await third).toEqual({ cursor: "c-c" });
    expect(settled).toEqual({ a: "c-a", b: "c-b" });
  });

  test("ids of two publishers differ", async () => {
    const ids: unknown[] = [];
    for (let n = 0; n < 2; n++) {
      publishAll(await opened(), "a");
      ids.push(wire()[0]?.id);
    }
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("a view is what it shows, as it was when it was published", async () => {
    const publisher = await opened();
    const bytes = new Uint8Array([9, 1, 2, 9]);
    void publisher.publish(bytes.subarray(1, 3));
    bytes.fill(7);
    expect(wire()[0]?.messages).toEqual([{ base64: "AQI=" }]);
  });

  test("a list is what it holds when it is published, also where it waits for its turn", async () => {
    const publisher = await opened({ maxPending: 1 });
    publishAll(publisher, "a");
    const list = ["b", "c"];
    void publisher.publish(list);
    list.splice(0, 2, "d");
    ack("a");
    expect(wire()[1]?.messages).toEqual(["b", "c"]);
  });

  test("a hole in a list is refused before the hub sees it", async () => {
    const publisher = await opened();
    const list: string[] = [];
    list[1] = "b";
    expect(await failure(publisher.publish(list))).toBeInstanceOf(TypeError);
    expect(hub.socket.sent).toHaveLength(0);
  });

  test("waits for the hub to let it in, and not for the socket", async () => {
    const publisher = open();
    publishAll(publisher, "a");
    await settle();
    hub.socket.answers = false;
    hub.socket.open();
    expect(hub.socket.sent).toEqual([]);
    hub.socket.say("wspubsub:pong");
    expect(texts()).toEqual(["a"]);
  });

  test("after a cut all that is not acknowledged goes again, with the same ids, in order", async () => {
    const publisher = await opened();
    const settled = publishAll(publisher, "a", "b", "c");
    const [a, b, c] = wire();
    ack("a");
    hub.socket.end();
    publishAll(publisher, "d");
    (await hub.next()).open();
    expect(wire().slice(0, 2)).toEqual([{ ...b, after: a?.id }, c]);
    expect(texts()).toEqual(["b", "c", "d"]);
    ack("b");
    ack("c");
    await settle();
    expect(settled).toEqual({ a: "c-a", b: "c-b", c: "c-c" });
  });

  test("what is published when the connection is told of is sent once, in its turn", async () => {
    const publisher = await opened();
    publishAll(publisher, "a");
    hub.socket.end();
    publisher.addEventListener("state", ({ detail }) => {
      if (detail.connected) publishAll(publisher, "b");
    });
    (await hub.next()).open();
    expect(texts()).toEqual(["a", "b"]);
  });

  test("an answer that comes again, or to nothing, changes nothing", async () => {
    const publisher = await opened();
    publishAll(publisher, "a", "b");
    ack("a");
    ack("a");
    hub.socket.say({ type: "ack", id: "another", cursor: "c" });
    hub.socket.fail("another", "id-reused", 422);
    refuse("a", "topic-overloaded", 503);
    await settle();
    expect(publisher.state).toBe("open");
    expect(texts()).toEqual(["a", "b"]);
  });

  test.each([
    [[], RangeError],
    [Array(1001).fill("x"), RangeError],
    [7, TypeError],
  ])("what no frame can hold is an error: %j", async (messages, type) => {
    const publisher = await opened();
    expect(await failure(publisher.publish(messages as string[]))).toBeInstanceOf(type);
    expect(hub.socket.sent).toEqual([]);
    publishAll(publisher, "a");
    expect(texts()).toEqual(["a"]);
  });

  test("so is more than 32 MiB, as they go over the wire", async () => {
    const publisher = await opened();
    expect(await failure(publisher.publish("€".repeat(11_184_800)))).toBeInstanceOf(RangeError);
    void publisher.publish("\n".repeat(16_776_900)).catch(() => {});
    expect(hub.socket.sent).toHaveLength(1);
    expect(hub.socket.sent[0]?.length).toBeLessThanOrEqual(33_554_432);
  });
});

describe("how much may be under way", () => {
  test("10.7 is 1,000 publishes; more wait for their turn, in order", async () => {
    const publisher = await opened();
    const all = Array.from({ length: 1002 }, (_, n) => String(n));
    const settled = publishAll(publisher, ...all);
    expect(texts()).toEqual(all.slice(0, 1000));
    ack("0");
    expect(texts()).toEqual(all.slice(0, 1001));
    ack("1");
    expect(texts()).toEqual(all);
    await settle();
    expect(settled).toEqual({ 0: "c-0", 1: "c-1" });
  });

  test("also where a caller wants more", async () => {
    const publisher = await opened({ maxPending: 5000 });
    publishAll(publisher, "first");
    ack("first");
    publishAll(publisher, ...Array.from({ length: 1001 }, (_, n) => String(n)));
    expect(hub.socket.sent).toHaveLength(1001);
  });

  test("a caller may want less, in number or in bytes", async () => {
    const first = await opened({ maxPending: 2 });
    publishAll(first, "a", "b", "c");
    expect(texts()).toEqual(["a", "b"]);
    const second = await opened({ maxPendingBytes: 18 });
    publishAll(second, "€€€", "d", "e", "f");
    expect(texts()).toEqual(["€€€", "d"]);
    ack("€€€");
    expect(texts()).toEqual(["€€€", "d", "e", "f"]);
  });

  test("bytes are 16 MiB", async () => {
    const publisher = await opened();
    const half = "x".repeat(8_388_608);
    publishAll(publisher, half, "b", `${half}c`, "d");
    expect(hub.socket.sent).toHaveLength(3);
  });

  test("a socket that holds more than 4 MiB gets nothing more until an answer comes", async () => {
    const publisher = await opened();
    publishAll(publisher, "a");
    hub.socket.bufferedAmount = 4_194_305;
    publishAll(publisher, "b");
    expect(texts()).toEqual(["a"]);
    hub.socket.bufferedAmount = 4_194_304;
    ack("a");
    expect(texts()).toEqual(["a", "b"]);
  });
});

describe("10.11 a publish that is refused", () => {
  test.each(["too-many-requests", "topic-overloaded"])(
    "%s: it and those behind it go again, in order, after the pause",
    async (slug) => {
      const publisher = await opened();
      const settled = publishAll(publisher, "a", "b", "c");
      const first = wire();
      ack("a");
      refuse("b", slug, slug === "topic-overloaded" ? 503 : 429, 3);
      refuse("c", "out-of-order", 409);
      publishAll(publisher, "d");
      await pass(2_999);
      expect(texts()).toEqual(["a", "b", "c"]);
      await pass(1);
      // One, and then twice as many with each answer.
      expect(texts().slice(3)).toEqual(["b"]);
      expect(wire()[3]).toEqual({ ...first[1], after: first[0]?.id });
      ack("b");
      expect(texts().slice(3)).toEqual(["b", "c", "d"]);
      expect(wire()[4]).toEqual(first[2]);
      ack("c");
      ack("d");
      await settle();
      expect(settled).toEqual({ a: "c-a", b: "c-b", c: "c-c" });
    },
  );

  test.each([
    [undefined, 1],
    [0, 1],
    [-5, 1],
    [Number.NaN, 1],
    [1e9, 100_000],
  ])("with %d for a time the pause is %i seconds", async (retryAfter, seconds) => {
    const publisher = await opened();
    publishAll(publisher, "a");
    refuse("a", "topic-overloaded", 503, retryAfter);
    await pass(seconds * 1000 - 1);
    expect(texts()).toEqual(["a"]);
    await pass(1);
    expect(texts()).toEqual(["a", "a"]);
  });

  test("of two pauses the later counts", async () => {
    const publisher = await opened();
    publishAll(publisher, "a", "b");
    refuse("b", "topic-overloaded", 503, 1);
    refuse("a", "too-many-requests", 429, 3);
    await pass(2_999);
    expect(texts()).toEqual(["a", "b"]);
    await pass(1);
    expect(texts()).toEqual(["a", "b", "a"]);
  });

  test("a new connection does not end the pause, and the end does", async () => {
    const publisher = await opened();
    publishAll(publisher, "a");
    refuse("a", "too-many-requests", 429, 30);
    hub.socket.end();
    (await hub.next()).open();
    await pass(20_000);
    expect(texts()).toEqual([]);
    await pass(10_000);
    expect(texts()).toEqual(["a"]);
    refuse("a", "too-many-requests", 429, 30);
    hub.socket.end(4501, "key-rejected");
    await failure(publisher.done);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("14.2 who was closed for it begins with one at a time", async () => {
    const publisher = await opened();
    publishAll(publisher, "a", "b", "c", "d");
    hub.socket.end(4429, "too-many-requests");
    (await hub.next()).open();
    expect(texts()).toEqual(["a"]);
    ack("a");
    expect(texts()).toEqual(["a", "b", "c"]);
  });

  test.each([
    ["message-too-large", 413],
    ["id-reused", 422],
    ["invalid-frame", 400],
    ["of-a-later-hub", 418],
  ])(
    "%s concerns it alone; the next one comes after what was accepted last",
    async (slug, status) => {
      const publisher = await opened();
      const settled = publishAll(publisher, "a", "b", "c", "d");
      const [a, , c, d] = wire();
      ack("a");
      refuse("b", slug, status);
      refuse("c", "out-of-order", 409);
      refuse("d", "out-of-order", 409);
      expect(wire().slice(4)).toEqual([{ ...c, after: a?.id }, d]);
      ack("c");
      expect(wire().slice(6)).toEqual([d]);
      ack("d");
      await settle();
      expect(settled).toEqual({ a: "c-a", b: slug, c: "c-c", d: "c-d" });
    },
  );

  test("out-of-order: the hub has forgotten what came before, so it is not named", async () => {
    const publisher = await opened();
    const settled = publishAll(publisher, "a", "b");
    ack("a");
    hub.socket.end();
    (await hub.next()).open();
    const [b] = wire();
    expect(b?.after).toBeDefined();
    refuse("b", "out-of-order", 409);
    expect(wire()[1]).toEqual({ id: b?.id, messages: ["b"] });
    ack("b");
    await settle();
    expect(settled).toEqual({ a: "c-a", b: "c-b" });
  });

  test("1009: what is too large for somebody on the way is found, and refused alone", async () => {
    const publisher = await opened();
    const settled = publishAll(publisher, "a", "b", "c");
    hub.socket.end(1009);
    (await hub.next()).open();
    expect(texts()).toEqual(["a"]);
    ack("a");
    expect(texts()).toEqual(["a", "b", "c"]);
    hub.socket.end(1009);
    (await hub.next()).open();
    expect(texts()).toEqual(["b"]);
    hub.socket.end(1009);
    (await hub.next()).open();
    expect(texts()).toEqual(["c"]);
    ack("c");
    await settle();
    expect(settled).toEqual({ a: "c-a", b: "connection-lost", c: "c-c" });
    expect(publisher.state).toBe("open");
  });

  test("4404: the URL is a subscriber's", async () => {
    const publisher = open();
    const answer = publisher.publish("a");
    await settle();
    hub.socket.refuse(4404, "topic-not-live");
    expect(await failure(answer)).toMatchObject({ slug: "topic-not-live" });
    expect(publisher.state).toBe("failed");
  });

  test("out-of-order of what named nothing is no tight loop", async () => {
    const publisher = await opened();
    publishAll(publisher, "a");
    refuse("a", "out-of-order", 409);
    await pass(999);
    expect(texts()).toEqual(["a"]);
    await pass(1);
    expect(texts()).toEqual(["a", "a"]);
  });

  test("its error has the problem", async () => {
    const publisher = await opened();
    const answer = publisher.publish("a");
    refuse("a", "message-too-large", 413);
    const expected = { slug: "message-too-large", status: 413, detail: "A detail", code: null };
    expect(await failure(answer)).toMatchObject(expected);
  });
});

describe("finish", () => {
  test.each([[undefined], ["last"], [["last", "words"]]])(
    "10.14 with %j ends the topic and the publisher",
    async (message) => {
      const publisher = await opened();
      publishAll(publisher, "a");
      const finished = message === undefined ? publisher.finish() : publisher.finish(message);
      expect(await failure(publisher.publish("b"))).toBeInstanceOf(TypeError);
      const [a, end] = hub.socket.frames;
      const messages = message === undefined ? undefined : [message].flat();
      expect(end).toEqual({ type: "finish", id: end?.["id"], after: a?.["id"], messages });
      ack("a");
      expect(publisher.state).toBe("open");
      hub.socket.say({ type: "ack", id: end?.["id"], cursor: "c-9" });
      hub.socket.end(1000, "topic-finished");
      expect(await finished).toEqual({ cursor: "c-9" });
      await publisher.done;
      expect(publisher.state).toBe("closed");
      await pass(60_000);
      hub.nth(1);
    },
  );

  test("10.14 cut off before the ack it is said again", async () => {
    const publisher = await opened();
    const finished = publisher.finish();
    const [end] = hub.socket.frames;
    hub.socket.end(1000, "topic-finished");
    (await hub.next()).open();
    expect(hub.socket.frames).toEqual([end]);
    hub.socket.say({ type: "ack", id: end?.["id"], cursor: "c-9" });
    expect(await finished).toEqual({ cursor: "c-9" });
  });

  test("topic-shared: the publisher stays", async () => {
    const publisher = await opened();
    const finished = publisher.finish();
    hub.socket.fail(hub.socket.frames[0]?.["id"], "topic-shared", 409);
    expect(await failure(finished)).toMatchObject({ slug: "topic-shared" });
    expect(publisher.state).toBe("open");
    publishAll(publisher, "a");
    expect(texts()).toEqual([undefined, "a"]);
  });

  test("one that no frame can hold is refused, and the publisher stays", async () => {
    const publisher = await opened();
    expect(await failure(publisher.finish(Array(1001).fill("x")))).toBeInstanceOf(RangeError);
    publishAll(publisher, "a");
    expect(texts()).toEqual(["a"]);
  });
});

describe("close", () => {
  test("comes when all is acknowledged and the socket is closed", async () => {
    const publisher = await opened({ maxPending: 1 });
    const settled = publishAll(publisher, "a", "b");
    const closed = vi.fn<() => void>();
    void publisher.close().then(closed);
    expect(await failure(publisher.publish("c"))).toBeInstanceOf(TypeError);
    ack("a");
    await settle();
    expect(publisher.state).toBe("open");
    ack("b");
    await settle();
    expect(publisher.state).toBe("closed");
    expect(settled).toEqual({ a: "c-a", b: "c-b" });
    expect(hub.socket.isLeft).toBe(true);
    expect(closed).not.toHaveBeenCalled();
    hub.socket.end(1005);
    await settle();
    expect(closed).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a socket that does not say so is waited for 2 s", async () => {
    const publisher = await opened();
    const closed = vi.fn<() => void>();
    void publisher.close().then(closed);
    await pass(1_999);
    expect(closed).not.toHaveBeenCalled();
    await pass(1);
    expect(closed).toHaveBeenCalledOnce();
  });

  test("without a socket it comes at once; await using does the same", async () => {
    const publisher = open();
    {
      await using held = publisher;
      void held;
    }
    expect(publisher.state).toBe("closed");
    expect(hub.sockets).toHaveLength(0);
  });

  test("rejects where the hub says that it will not be", async () => {
    const publisher = await opened();
    publishAll(publisher, "a");
    const closed = publisher.close();
    hub.socket.end(4509, "publisher-displaced");
    expect(await failure(closed)).toMatchObject({ slug: "publisher-displaced" });
  });

  test("a signal ends all that is under way with its reason", async () => {
    const controller = new AbortController();
    const publisher = await opened({ signal: controller.signal, maxPending: 1 });
    const settled = publishAll(publisher, "a", "b");
    const reason = new Error("Enough");
    controller.abort(reason);
    await settle();
    expect(settled).toEqual({ a: reason, b: reason });
    expect(publisher.state).toBe("failed");
    expect(vi.getTimerCount()).toBe(0);
  });
});
