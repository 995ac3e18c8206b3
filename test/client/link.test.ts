/** How a client connects, comes back, and notices that nobody is there any more. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HubError, openPublisher, subscribe } from "../../src/client/main.ts";
import {
  FakeHub,
  failure,
  pass,
  setChance,
  settle,
  suspend,
  useFakeTime,
} from "./support/fake-hub.ts";

const URL_OF_TOPIC = "wss://hub.example.com/ws/sub/test/news";

useFakeTime();

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function open(options: object = {}) {
  return subscribe(URL_OF_TOPIC, { WebSocket: hub.WebSocket, ...options });
}

/** Opens one that the hub lets in. */
async function opened(options: object = {}) {
  const subscription = open(options);
  await settle();
  hub.socket.begin();
  await settle();
  return subscription;
}

describe("a connection", () => {
  test("4.6, 10.1 offers the stream, and asks for explanations", async () => {
    open();
    await settle();
    expect(hub.nth(1).url.href).toBe(`${URL_OF_TOPIC}?explain=1&wait=60`);
    expect(hub.socket.protocols).toEqual(["wspubsub.v1"]);
  });

  test.each([
    ["http://h/ws/sub/d/t", "ws://h/ws/sub/d/t"],
    ["https://h/ws/sub/d/t?x=1", "wss://h/ws/sub/d/t?x=1"],
    [new URL("ws://h:81/ws/sub/d/t"), "ws://h:81/ws/sub/d/t"],
  ])("goes to where %s says", async (url, expected) => {
    subscribe(url, { WebSocket: hub.WebSocket, waitSeconds: 0 });
    await settle();
    hub.socket.url.searchParams.delete("explain");
    expect(hub.socket.url.href).toBe(expected);
  });

  test.each(["token", "access_token", "jwt", "apikey", "api_key", "authorization", "Token"])(
    "3.1 a URL with the credential %s is an error at once",
    (name) => {
      const url = `${URL_OF_TOPIC}?x=1&${name}=secret`;
      expect(() => subscribe(url)).toThrow(TypeError);
      expect(() => openPublisher(url)).toThrow(/option/);
    },
  );

  test("so is what is no URL", () => {
    expect(() => subscribe("no url")).toThrow(TypeError);
  });

  test("12.1 a key goes as a subprotocol", async () => {
    open({ key: "schlüssel???>>>~" });
    await settle();
    const encoded = Buffer.from("schlüssel???>>>~").toString("base64url");
    expect(hub.socket.protocols[1]).toBe(`base64url.bearer.authorization.wspubsub.${encoded}`);
    expect(hub.socket.url.href).not.toContain("schl");
  });

  test("what the constructor throws is final", async () => {
    const thrown = new DOMException("Insecure", "SecurityError");
    const WebSocket = function () {
      throw thrown;
    };
    expect(await failure(open({ WebSocket }).done)).toBe(thrown);
  });

  test("a handshake that never ends is given up after 10 s", async () => {
    open();
    await pass(9_999);
    expect(hub.nth(1).isLeft).toBe(false);
    await pass(1);
    expect(hub.socket.isLeft).toBe(true);
    await pass(250);
    hub.nth(2);
  });

  test("an error is an end, also where no close follows", async () => {
    open();
    await settle();
    hub.socket.error();
    await pass(250);
    hub.nth(2);
  });
});

describe("coming back", () => {
  test("the time before each attempt is at random, doubles, and is 30 s at most", async () => {
    open();
    await settle();
    for (const ms of [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      const { length } = hub.sockets;
      hub.socket.end();
      await pass(ms - 2);
      hub.nth(length);
      await pass(2);
      hub.nth(length + 1);
    }
    setChance(0.5);
    hub.socket.end();
    await pass(14_998);
    hub.nth(10);
    await pass(2);
    hub.nth(11);
    setChance(0);
    hub.socket.end();
    await settle();
    hub.nth(12);
  });

  test("it begins anew with the first frame, and not when the socket opens", async () => {
    open();
    await settle();
    for (const ms of [250, 500, 1000]) {
      hub.socket.refuse(4453, "topic-full");
      await pass(1000 + ms);
    }
    hub.nth(4).begin();
    hub.socket.end();
    await pass(250);
    hub.nth(5);
  });

  test.each([1001, 1005, 1006, 1009, 1011, 1012, 1013, 3000, 4400, 4408, 4409, 4450, 4499])(
    "8.1 %i means to come back",
    async (code) => {
      const subscription = await opened();
      hub.socket.end(code, "a-reason");
      await pass(250);
      hub.nth(2);
      expect(subscription.state).toBe("open");
    },
  );

  test.each([4500, 4501, 4503, 4504, 4510, 4513, 4599, 4999])("8.1 %i is final", async (code) => {
    const subscription = await opened();
    hub.socket.end(code, "a-reason");
    const error = await failure(subscription.done);
    expect(error).toBeInstanceOf(HubError);
    expect(error).toMatchObject({ slug: "a-reason", status: null, code });
    expect(subscription.state).toBe("failed");
    await pass(60_000);
    hub.nth(1);
  });

  test("4.7 what was told before the close is what the error says", async () => {
    const subscription = open();
    await settle();
    hub.socket.refuse(4501, "key-rejected", { status: 401, detail: "The key is unknown" });
    expect(await failure(subscription.done)).toMatchObject({
      name: "HubError",
      slug: "key-rejected",
      status: 401,
      detail: "The key is unknown",
      code: 4501,
      message: expect.stringMatching(/key-rejected.*The key is unknown/),
    });
  });

  test("what was told of something else is not", async () => {
    const subscription = await opened();
    hub.socket.fail(null, "too-many-requests", 429);
    hub.socket.end(4501, "key-rejected");
    expect(await failure(subscription.done)).toMatchObject({ slug: "key-rejected", status: null });
  });

  test("retryAfter is obeyed, and the backoff comes on top", async () => {
    open();
    await settle();
    hub.socket.refuse(4453, "topic-full", { retryAfter: 30 });
    await pass(30_000 + 248);
    hub.nth(1);
    await pass(2);
    hub.nth(2);
    setChance(0);
    hub.socket.refuse(4453, "topic-full", { retryAfter: 30 });
    await pass(29_999);
    hub.nth(2);
    await pass(1);
    hub.nth(3);
  });

  test("no reason of the hub's makes it come back without backoff", async () => {
    await opened();
    hub.socket.end(1012, "away");
    await pass(248);
    hub.nth(1);
    await pass(2);
    hub.nth(2);
  });

  test.each([0, -5, 0.001, Number.NaN, "soon", null, []])(
    "a retryAfter of %j is none: the backoff goes on",
    async (retryAfter) => {
      open();
      await settle();
      for (const ms of [250, 500, 1000]) {
        const { length } = hub.sockets;
        hub.socket.refuse(4453, "topic-full", { retryAfter });
        await pass(ms - 2);
        hub.nth(length);
        await pass(2);
        hub.nth(length + 1);
      }
    },
  );

  test.each([1e9, 1e300])("a retryAfter of %d is 100,000 s", async (retryAfter) => {
    open();
    await settle();
    hub.socket.refuse(4453, "topic-full", { retryAfter });
    await pass(100_000_000);
    hub.nth(1);
    await pass(250);
    hub.nth(2);
  });

  const UNREADABLE = [
    "{",
    "null",
    '{"type":"messages","cursor":"a-1","messages":[7]}',
    '{"type":"messages","cursor":"a-1","messages":[{"base64":"?"}]}',
    '{"type":"messages","cursor":"a-1","at":[[1,"2026-11-27T09:30:01.000Z"]],"messages":["x","y"]}',
    '{"type":"messages","messages":["x"]}',
    '{"type":"messages","cursor":7,"messages":["x"]}',
    '{"type":"gap","from":"a-1"}',
    '{"type":"open"}',
    '{"type":"error","id":null}',
    new ArrayBuffer(3),
  ];

  test.each(UNREADABLE)("what is no frame ends the connection, untaken: %s", async (bad) => {
    const subscription = await opened();
    hub.socket.say(bad);
    expect(hub.socket.isLeft).toBe(true);
    expect((await hub.next()).asked["since"]).toBe("a-0");
    expect(subscription.state).toBe("open");
  });

  test("three in a row are final", async () => {
    const subscription = open();
    for (let n = 0; n < 3; n++) {
      expect(subscription.state).toBe("open");
      (await hub.next()).begin();
      hub.socket.say("{");
    }
    expect(await failure(subscription.done)).toMatchObject({ slug: "bad-frame" });
    hub.nth(3);
  });

  test("a connection that ends otherwise begins the count anew, and the backoff goes on meanwhile", async () => {
    open();
    await settle();
    for (let n = 0; n < 2; n++) {
      hub.socket.begin();
      hub.socket.say("{");
      const { length } = hub.sockets;
      await pass(250 * 2 ** n - 2);
      hub.nth(length);
      await pass(2);
      hub.nth(length + 1);
    }
    hub.socket.begin();
    hub.socket.end();
    await pass(250);
    for (let n = 0; n < 2; n++) {
      hub.socket.begin();
      hub.socket.say("{");
      await hub.next();
    }
    hub.nth(6);
  });
});

describe("a link that is dead", () => {
  test("8.5 a heartbeat goes at once, and every 10 s", async () => {
    await opened();
    expect(hub.socket.heartbeats).toBe(1);
    await pass(9_999);
    expect(hub.socket.heartbeats).toBe(1);
    await pass(1);
    expect(hub.socket.heartbeats).toBe(2);
    await pass(100_000);
    expect(hub.socket.heartbeats).toBe(12);
    expect(hub.socket.isLeft).toBe(false);
  });

  test("is left after 5 s without an answer, and not waited for", async () => {
    await opened();
    hub.socket.answers = false;
    await pass(10_000 + 4_999);
    expect(hub.socket.isLeft).toBe(false);
    await pass(1);
    expect(hub.socket.isLeft).toBe(true);
    await pass(250);
    const [dead] = hub.sockets;
    hub.nth(2).begin("a-5");
    // What it still says counts for nothing.
    dead?.say({ type: "messages", cursor: "a-9", messages: ["x"] });
    dead?.end(4501, "key-rejected");
    hub.socket.end();
    await pass(250);
    expect(hub.nth(3).asked["since"]).toBe("a-5");
  });

  test("any frame is an answer", async () => {
    await opened();
    hub.socket.answers = false;
    for (let n = 0; n < 5; n++) {
      await pass(10_000);
      hub.socket.publish(`a-${n + 1}`, "x");
    }
    expect(hub.socket.isLeft).toBe(false);
  });

  test("one that never answers the first heartbeat, too", async () => {
    open();
    await settle();
    hub.socket.answers = false;
    hub.socket.open();
    await pass(5_000);
    expect(hub.socket.isLeft).toBe(true);
  });

  test("after a sleep it comes back at once", async () => {
    await opened();
    await suspend(3_600_000);
    await settle();
    expect(hub.sockets[0]?.isLeft).toBe(true);
    hub.nth(2);
  });

  test("a timer that is a little late is no sleep", async () => {
    await opened();
    await suspend(5_000);
    expect(hub.nth(1).isLeft).toBe(false);
  });

  test("a hidden page's timers are late all the time", async () => {
    vi.stubGlobal("document", { hidden: true });
    await opened();
    for (let n = 0; n < 5; n++) await suspend(60_000);
    expect(hub.nth(1).isLeft).toBe(false);
    expect(hub.socket.heartbeats).toBeGreaterThan(2);
  });
});

describe("a page", () => {
  let page: EventTarget;

  beforeEach(() => {
    page = new EventTarget();
    vi.stubGlobal("document", { hidden: false });
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  });

  const RETURNS = ["pageshow", "visibilitychange"];

  test.each(["online", ...RETURNS])("%s ends the wait for the next attempt", async (name) => {
    open();
    await settle();
    for (let n = 0; n < 5; n++) {
      hub.socket.end();
      await hub.next();
    }
    hub.socket.end();
    await settle();
    page.dispatchEvent(new Event(name));
    await settle();
    hub.nth(7);
  });

  test("but not before the hub wants it", async () => {
    open();
    await settle();
    hub.socket.refuse(4453, "topic-full", { retryAfter: 30 });
    await pass(29_999);
    page.dispatchEvent(new Event("online"));
    await settle();
    hub.nth(1);
    await pass(1);
    page.dispatchEvent(new Event("online"));
    await settle();
    hub.nth(2);
  });

  test("online leaves what there is, and connects at once", async () => {
    await opened();
    page.dispatchEvent(new Event("online"));
    await settle();
    expect(hub.sockets[0]?.isLeft).toBe(true);
    hub.nth(2);
  });

  test.each(RETURNS)("%s asks at once whether the hub is there, for 2.5 s", async (name) => {
    await opened();
    await pass(7_000);
    hub.socket.answers = false;
    page.dispatchEvent(new Event(name));
    expect(hub.socket.heartbeats).toBe(2);
    await pass(2_499);
    expect(hub.socket.isLeft).toBe(false);
    await pass(1);
    expect(hub.socket.isLeft).toBe(true);
  });

  test.each(RETURNS)("%s changes nothing where it is", async (name) => {
    await opened();
    page.dispatchEvent(new Event(name));
    await pass(60_000);
    expect(hub.nth(1).isLeft).toBe(false);
  });

  test.each(RETURNS)("%s connects at once where the last answer was long ago", async (name) => {
    await opened();
    vi.setSystemTime(Date.now() + 15_001);
    page.dispatchEvent(new Event(name));
    await settle();
    expect(hub.sockets[0]?.isLeft).toBe(true);
    hub.nth(2);
  });

  test("one that is hidden now, or whose socket is still being opened, is left alone", async () => {
    open();
    await settle();
    page.dispatchEvent(new Event("pageshow"));
    hub.nth(1).begin();
    await settle();
    vi.stubGlobal("document", { hidden: true });
    page.dispatchEvent(new Event("visibilitychange"));
    expect(hub.nth(1).heartbeats).toBe(1);
    vi.stubGlobal("document", { hidden: false });
    hub.socket.end();
    await hub.next();
    page.dispatchEvent(new Event("pageshow"));
    await settle();
    expect(hub.nth(2).isLeft).toBe(false);
  });

  test("nothing is listened to after the end", async () => {
    const subscription = await opened();
    const remove = vi.spyOn(page, "dispatchEvent");
    subscription.close();
    for (const name of ["online", ...RETURNS]) page.dispatchEvent(new Event(name));
    await pass(60_000);
    expect(remove).toHaveBeenCalledTimes(3);
    hub.nth(1);
  });
});

describe("the end", () => {
  test("no timer is left, wherever it was", async () => {
    const moments: (() => unknown)[] = [
      () => {},
      () => settle(),
      () => settle().then(() => hub.socket.begin()),
      () => settle().then(() => hub.socket.end()),
      async () => {
        await settle();
        hub.socket.begin();
        hub.socket.answers = false;
        await pass(12_000);
      },
    ];
    for (const moment of moments) {
      const subscription = open();
      await moment();
      await settle();
      const { length } = hub.sockets;
      subscription.close();
      await subscription.done;
      await settle();
      expect(vi.getTimerCount()).toBe(0);
      expect(hub.sockets).toHaveLength(length);
      expect(hub.sockets.every(({ readyState }) => readyState > 1)).toBe(true);
    }
  });

  test("nor is one where a listener ends it because the connection is gone", async () => {
    for (const [token, end] of [
      [undefined, () => hub.socket.end()],
      [undefined, () => hub.socket.refuse(4453, "topic-full", { retryAfter: 3600 })],
      [() => Promise.reject(new Error("mine")), () => {}],
    ] as const) {
      const subscription = open({ token });
      subscription.addEventListener("state", () => subscription.close());
      await settle();
      const { length } = hub.sockets;
      end();
      await settle();
      expect(subscription.state).toBe("closed");
      expect(vi.getTimerCount()).toBe(0);
      expect(hub.sockets).toHaveLength(length);
    }
  });

  test("a signal ends it with its reason, at once", async () => {
    const controller = new AbortController();
    const subscription = await opened({ signal: controller.signal });
    const reading = subscription[Symbol.asyncIterator]().next();
    const reason = new Error("Enough");
    controller.abort(reason);
    expect(subscription.state).toBe("failed");
    expect(hub.socket.isLeft).toBe(true);
    expect(await failure(subscription.done)).toBe(reason);
    expect(await failure(reading)).toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a signal that is aborted already opens nothing, and asks for no token", async () => {
    const reason = new Error("Enough");
    const token = vi.fn<() => string>(() => "t");
    const subscription = open({ signal: AbortSignal.abort(reason), token });
    await pass(60_000);
    expect(hub.sockets).toHaveLength(0);
    expect(token).not.toHaveBeenCalled();
    expect(await failure(subscription.done)).toBe(reason);
  });

  test("a signal that goes on is not held by what is closed", async () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, "addEventListener");
    const subscription = await opened({ signal: controller.signal });
    subscription.close();
    controller.abort();
    await expect(subscription.done).resolves.toBeUndefined();
    expect(remove.mock.calls[0]?.[2]).toMatchObject({ signal: { aborted: true } });
  });

  test("its states are told", async () => {
    const subscription = open();
    const seen: unknown[] = [];
    subscription.addEventListener("state", ({ detail }) => {
      seen.push([detail.state, detail.connected, detail.error instanceof HubError]);
      expect(subscription.connected).toBe(detail.connected);
    });
    expect(subscription.connected).toBe(false);
    await settle();
    hub.socket.open();
    hub.socket.end();
    await pass(250);
    hub.socket.end();
    await pass(500);
    hub.socket.begin();
    subscription.close();
    expect(seen).toEqual([
      ["open", true, false],
      ["open", false, true],
      ["open", false, true],
      ["open", true, false],
      ["closed", false, false],
    ]);
  });
});
