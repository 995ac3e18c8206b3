/** Whatever comes from the hub's side: nothing is thrown where nobody catches it, and the end stays within bounds. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openPublisher, subscribe } from "../../src/client/main.ts";
import { FakeHub, settle, useFakeTime } from "./support/fake-hub.ts";

useFakeTime();

const unhandled = vi.fn<(error: unknown) => void>();

beforeEach(() => {
  process.on("unhandledRejection", unhandled);
  process.on("uncaughtException", unhandled);
});

afterEach(() => {
  process.off("unhandledRejection", unhandled);
  process.off("uncaughtException", unhandled);
});

const cursors = fc.oneof(fc.constantFrom("a-1", "a-2", "b~7"), fc.jsonValue());
const problems = fc.record(
  {
    type: fc.oneof(
      fc.constantFrom("urn:wspubsub:problem:out-of-order", "urn:wspubsub:problem:topic-overloaded"),
      fc.jsonValue(),
    ),
    title: fc.jsonValue(),
    status: fc.oneof(fc.constantFrom(429, 500, 409), fc.jsonValue()),
    detail: fc.oneof(fc.string(), fc.jsonValue()),
    retryAfter: fc.oneof(fc.double(), fc.jsonValue()),
  },
  { requiredKeys: ["type", "status", "detail"] },
);
const frames = fc
  .record(
    {
      type: fc.oneof(
        fc.constantFrom("open", "messages", "gap", "end", "ack", "error", "later"),
        fc.jsonValue(),
      ),
      id: fc.oneof(fc.constant("FIRST"), fc.constant(null), fc.jsonValue()),
      cursor: cursors,
      from: cursors,
      to: cursors,
      at: fc.oneof(fc.constant([[1e9, "x"]]), fc.constant([[1], [2, "x"]]), fc.jsonValue()),
      messages: fc.oneof(
        fc.array(fc.oneof(fc.string(), fc.record({ base64: fc.jsonValue() })), { maxLength: 5 }),
        fc.jsonValue(),
      ),
      recovered: fc.jsonValue(),
      reason: fc.oneof(fc.constantFrom("finished", "abandoned"), fc.jsonValue()),
      problem: fc.oneof(problems, fc.jsonValue()),
    },
    { requiredKeys: ["type"] },
  )
  .map((frame) => JSON.stringify(frame));
const said = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: frames },
    fc.string({ unit: "binary" }),
    fc.constant(new ArrayBuffer(3)),
    fc.constantFrom("{", "null", "[]", "wspubsub:pong"),
    fc.record({ code: fc.integer({ min: 1000, max: 4999 }), reason: fc.string() }),
  ),
  { minLength: 1, maxLength: 12 },
);

test("no subscription and no publisher throws what nobody can catch", async () => {
  await fc.assert(
    fc.asyncProperty(said, fc.boolean(), async (all, isPublisher) => {
      const hub = new FakeHub();
      const link = { WebSocket: hub.WebSocket, token: () => "t" };
      const opened = isPublisher
        ? openPublisher("ws://h/ws/pub/d/t", link)
        : subscribe("ws://h/ws/sub/d/t", { ...link, onMessage() {}, waitSeconds: 10 });
      if ("publish" in opened) {
        for (const text of ["1", "2", "3"]) opened.publish(text).catch(() => {});
        void opened.finish().catch(() => {});
      }
      for (const each of all) {
        await settle();
        const { socket } = hub;
        if (socket.readyState === 0) socket.open();
        if (typeof each === "object" && "code" in each) socket.end(each.code, each.reason);
        else if (typeof each !== "string") socket.say(each);
        else socket.say(each.replace('"FIRST"', JSON.stringify(socket.frames[0]?.["id"] ?? null)));
        if (opened.state !== "open") break;
        if (socket.readyState > 1 && opened.state === "open")
          await vi.advanceTimersToNextTimerAsync();
      }
      await settle();
      expect(["open", "closed", "failed"]).toContain(opened.state);
      void Promise.resolve(opened.close()).catch(() => {});
      await settle();
      // A publisher waits for its socket's end, and for what is under way.
      expect("publish" in opened ? 0 : vi.getTimerCount()).toBe(0);
      vi.clearAllTimers();
    }),
    { numRuns: 300 },
  );
  vi.useRealTimers();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(unhandled.mock.calls).toEqual([]);
});
