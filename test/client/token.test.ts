/** Tokens: a value that is final, and a function that is asked again (PROTOCOL.md, 13.6). */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { subscribe, type StateChange } from "../../src/client/main.ts";
import { FakeHub, failure, pass, setChance, settle, useFakeTime } from "./support/fake-hub.ts";

useFakeTime();

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
});

function open(token: string | (() => string | Promise<string>)) {
  return subscribe("wss://hub.example.com/ws/sub/test/news", { token, WebSocket: hub.WebSocket });
}

/** A token that ends in so many seconds. */
function tokenFor(seconds: number): string {
  const claims = { sub: "ÿ~?", exp: Math.floor(Date.now() / 1000) + seconds };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
}

/** What a socket presents. */
function presented(): string {
  const [, name = ""] = hub.socket.protocols;
  return Buffer.from(name.split(".").at(-1) ?? "", "base64url").toString();
}

describe("a value", () => {
  test("is presented each time", async () => {
    open("a.b.c");
    await settle();
    expect(presented()).toBe("a.b.c");
    hub.socket.end();
    await hub.next();
    expect(presented()).toBe("a.b.c");
  });

  test.each([
    [4401, "token-expired"],
    [4501, "token-rejected"],
  ])("is final at %i", async (code, slug) => {
    const subscription = open("a.b.c");
    await settle();
    hub.socket.begin();
    hub.socket.end(code, slug);
    expect(await failure(subscription.done)).toMatchObject({ code, slug });
  });

  test("what is neither a text nor a function is presented as a text, or not at all", async () => {
    for (const [token, text] of [
      [null, ""],
      ["", ""],
      [7, "7"],
    ] as [string, string][]) {
      const subscription = open(token);
      await settle();
      expect(presented()).toBe(text);
      hub.socket.refuse(4401, "token-rejected");
      expect(await failure(subscription.done)).toMatchObject({ slug: "token-rejected" });
    }
  });

  test("is not replaced before it ends", async () => {
    open(tokenFor(60));
    await settle();
    hub.socket.begin();
    await pass(120_000);
    hub.nth(1);
  });
});

describe("a function", () => {
  test("is asked once for each connection", async () => {
    const token = vi.fn<() => string>().mockReturnValueOnce("t1").mockReturnValueOnce("t2");
    open(token);
    await settle();
    expect(presented()).toBe("t1");
    hub.socket.begin();
    await pass(60_000);
    hub.socket.end();
    await hub.next();
    expect(presented()).toBe("t2");
    expect(token).toHaveBeenCalledTimes(2);
  });

  test.each([
    [4401, "token-expired"],
    [4501, "token-rejected"],
  ])("is asked again at %i; three that are refused in a row are final", async (code, slug) => {
    const subscription = open(() => "t");
    for (let n = 0; n < 2; n++) {
      (await hub.next()).refuse(code, slug);
      await settle();
      expect(subscription.state).toBe("open");
    }
    (await hub.next()).refuse(code, slug);
    expect(await failure(subscription.done)).toMatchObject({ code, slug });
  });

  test("what the hub lets in begins the count anew; what expires is replaced after 250 ms at most", async () => {
    const subscription = open(() => "t");
    await settle();
    for (let n = 1; n < 10; n++) {
      hub.nth(n).begin();
      hub.socket.end(4401, "token-expired");
      await pass(250);
    }
    for (let n = 0; n < 2; n++) {
      hub.socket.refuse(4401, "token-expired");
      await hub.next();
    }
    hub.socket.begin();
    expect(subscription.state).toBe("open");
  });

  test("tokens that are refused are asked for with backoff", async () => {
    open(() => "t");
    await settle();
    hub.socket.refuse(4401, "token-expired");
    await pass(248);
    hub.nth(1);
    await pass(2);
    hub.nth(2).refuse(4401, "token-expired");
    await pass(498);
    hub.nth(2);
    await pass(2);
    hub.nth(3);
  });

  test("a refusal of something else is final all the same", async () => {
    const subscription = open(() => "t");
    await settle();
    hub.socket.refuse(4503, "token-lacks-subscribe");
    expect(await failure(subscription.done)).toMatchObject({ slug: "token-lacks-subscribe" });
  });

  test("one that throws or rejects is asked again with backoff, and is told of", async () => {
    const failures = [new Error("first"), new Error("second")];
    const token = vi
      .fn<() => string | Promise<string>>()
      .mockImplementationOnce(() => {
        throw failures[0];
      })
      .mockImplementationOnce(() => Promise.reject(failures[1]))
      .mockReturnValue("t");
    setChance(0.5);
    const changes: StateChange[] = [];
    const subscription = open(token);
    subscription.addEventListener("state", ({ detail }) => changes.push(detail));
    await pass(124);
    expect(token).toHaveBeenCalledTimes(1);
    await pass(1);
    expect(token).toHaveBeenCalledTimes(2);
    await pass(249);
    expect(token).toHaveBeenCalledTimes(2);
    await pass(1);
    expect(presented()).toBe("t");
    expect(changes.map(({ error }) => error)).toEqual(failures);
    expect(changes.every(({ state }) => state === "open")).toBe(true);
  });

  test("one that never answers does not keep it from being closed", async () => {
    const subscription = open(() => new Promise(() => {}));
    await pass(60_000);
    subscription.close();
    await subscription.done;
    expect(hub.sockets).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("one that answers or fails after the end opens nothing and tells nothing", async () => {
    for (const end of [(resolve: (token: string) => void) => resolve("t"), null]) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const subscription = open(() => promise);
      const told = vi.fn<() => void>();
      await settle();
      subscription.close();
      subscription.addEventListener("state", told);
      if (end === null) reject(new Error("late"));
      else end(resolve);
      await pass(60_000);
      expect(hub.sockets).toHaveLength(0);
      expect(told).not.toHaveBeenCalled();
    }
  });

  test("a token is replaced 20 to 10 s before it ends", async () => {
    const token = vi.fn<() => string>(() => tokenFor(60));
    open(token);
    await settle();
    hub.socket.begin();
    await pass(38_900);
    hub.nth(1);
    await pass(10_100);
    expect(hub.sockets[0]?.isLeft).toBe(true);
    hub.nth(2);
    expect(token).toHaveBeenCalledTimes(2);
  });

  test("one that ends within 40 s is left to the hub: a clock that is wrong makes no loop", async () => {
    for (const seconds of [-3600, 0, 2, 39]) {
      open(() => tokenFor(seconds));
      await settle();
      const { length } = hub.sockets;
      hub.socket.begin();
      await pass(60_000);
      hub.nth(length);
      expect(hub.socket.isLeft).toBe(false);
    }
  });

  test.each(["", "a", "a.b.c", "e30.e30.x", "e30.bnVsbA.x", "e30.eyJleHAiOiJ4In0.x"])(
    "of %j nobody knows when it ends",
    async (token) => {
      open(() => token);
      await settle();
      hub.socket.begin();
      await pass(120_000);
      expect(hub.nth(1).isLeft).toBe(false);
    },
  );

  test("that of one connection is not that of the next", async () => {
    const token = vi.fn<() => string>().mockReturnValueOnce(tokenFor(60)).mockReturnValue("t");
    open(token);
    await settle();
    hub.socket.begin();
    hub.socket.end();
    await hub.next();
    hub.socket.begin();
    await pass(120_000);
    expect(hub.nth(2).isLeft).toBe(false);
  });
});
