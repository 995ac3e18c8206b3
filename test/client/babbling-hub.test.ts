/** A hub that says anything, byte for byte, to Node's own WebSocket: nothing is thrown where nobody catches it. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { openPublisher, subscribe } from "../../src/client/main.ts";
import { startBabblingHub, type Babble } from "../support/chaos/babbling-hub.ts";

const unhandled = vi.fn<(error: unknown) => void>();
const KINDS = ["unhandledRejection", "uncaughtException"] as const;

beforeEach(() => {
  for (const kind of KINDS) process.on(kind, unhandled);
});
afterEach(() => {
  for (const kind of KINDS) process.off(kind, unhandled);
});

/** Texts of frames: good ones, and good ones with a part that is not. */
const texts: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(
      '{"type":"open","cursor":"e-1","recovered":null}',
      '{"type":"messages","cursor":"e-3","at":"2026-11-27T09:30:00.125Z","messages":["a",{"base64":"AP+A"}]}',
      '{"type":"gap","from":"e-3","to":"e-9"}',
      '{"type":"end","reason":"abandoned"}',
      '{"type":"end","reason":"finished"}',
      '{"type":"error","id":null,"problem":{"type":"urn:wspubsub:problem:topic-not-live","status":404,"title":"","detail":""}}',
      '{"type":"ack","id":"x","cursor":"e-4"}',
      "wspubsub:pong",
    ),
    fc.option(fc.tuple(fc.nat(120), fc.nat(6), fc.string({ maxLength: 6 })), { freq: 3 }),
  )
  .map(([text, change]) => {
    if (change === null) return text;
    const [at, dropped, put] = change;
    return text.slice(0, at) + put + text.slice(at + dropped);
  });

const frames: fc.Arbitrary<Babble> = fc.oneof(
  texts.map((text) => ({ type: "frame" as const, opcode: 1, payload: Buffer.from(text) })),
  fc.record({
    type: fc.constant("frame" as const),
    opcode: fc.nat(15),
    payload: fc.uint8Array({ maxLength: 200 }),
  }),
  // A close with a code of any kind.
  fc
    .tuple(fc.nat(5000), fc.string({ maxLength: 20 }))
    .map(([code, reason]) => [Uint8Array.of(code >> 8, code & 255), Buffer.from(reason)] as const)
    .map((parts) => ({ type: "frame" as const, opcode: 8, payload: Buffer.concat(parts) })),
);

const scripts: fc.Arbitrary<Babble[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: frames },
    fc.record({ type: fc.constant("bytes" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
    fc.constant<Babble>({ type: "reset" }),
  ),
  { maxLength: 8 },
);

test("whatever a hub says, the end is told by the loop, the promises and the state alone", async () => {
  const hub = await startBabblingHub();
  onTestFinished(() => hub.stop());
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const said = hub.babble(script, 2);
      const stop = new AbortController();
      const { signal } = stop;
      const subscription = subscribe(hub.url, { signal, token: () => "t" });
      const publisher = openPublisher(hub.url, { signal, token: () => "t" });
      const loop = (async () => {
        for await (const { data } of subscription) expect(data).toBeDefined();
      })();
      const settled = Promise.allSettled([
        loop,
        publisher.publish("a"),
        publisher.finish(),
        subscription.done,
        publisher.done,
      ]);
      await said;
      stop.abort(new Error("Enough"));
      await settled;
      expect([subscription.state, publisher.state]).not.toContain("open");
    }),
    { numRuns: 300 },
  );
  await new Promise(setImmediate);
  expect(unhandled.mock.calls).toEqual([]);
});
