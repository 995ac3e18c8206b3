import { describe, expect, test } from "vitest";
import { Batch } from "../../../src/delivery/batch.ts";
import { headBytesOf } from "../../../src/delivery/send-queue.ts";
import type { Message } from "../../../src/core/message.ts";
import { heldSubscriber, type HeldSubscriber } from "../support/held-socket.ts";

function batchOf(messages: readonly Message[]): Batch {
  return Batch.ofMessages({ epoch: "epoch", first: 1, last: messages.length, atMs: 0 }, messages);
}

/** Sends messages one by one, each with a look before it, as rounds do. */
function send({ subscriber }: HeldSubscriber, ...messages: Message[]): void {
  for (const message of messages) {
    subscriber.look();
    subscriber.send(batchOf([message]));
  }
}

function many(count: number, message: Message): Message[] {
  return Array.from({ length: count }, () => message);
}

describe("11.1 what waits for a raw subscriber", () => {
  test("is its frames, as they go over the wire", () => {
    const held = heldSubscriber();
    send(held, "x".repeat(40), "€".repeat(100), new ArrayBuffer(65_536));
    expect(held.subscriber.backlog).toBe(40 + 2 + 300 + 4 + 65_536 + 10);
  });

  test("is more with each empty message", () => {
    const held = heldSubscriber();
    send(held, "x", ...many(1000, ""));
    expect(held.subscriber.backlog).toBe(3 + 2000);
    expect(held.subscriber.isOver(2002)).toBe(true);
    expect(held.subscriber.isOver(2003)).toBe(false);
  });

  test("is nothing once all is read, and counts from there", () => {
    const held = heldSubscriber();
    send(held, ...many(100, "x"));
    held.read();
    expect(held.subscriber.backlog).toBe(0);
    expect(held.subscriber.heldBytes).toBe(0);
    send(held, "yy");
    expect(held.subscriber.backlog).toBe(4);
  });

  test("grows as it is sent to, before the next look", () => {
    const held = heldSubscriber();
    send(held, "x".repeat(100));
    expect(held.subscriber.heldBytes).toBe(100 + 1024);
  });

  test("costs the hub more than its bytes, by the frame", () => {
    const held = heldSubscriber();
    held.subscriber.send(batchOf(many(1000, "x")));
    held.subscriber.look();
    expect(held.subscriber.heldBytes).toBe(1000 * 1025);
  });

  test("that reads on and is always a little behind is never as much as was ever sent", () => {
    const held = heldSubscriber();
    send(held, ...many(10, "x"));
    for (let n = 0; n < 10_000; n++) {
      send(held, "x");
      held.read(1);
    }
    const { subscriber } = held;
    // Ten wait; how many frames they are is known to twice as many.
    expect(subscriber.backlog).toBeGreaterThanOrEqual(30);
    expect(subscriber.backlog).toBeLessThanOrEqual(60);
    expect(subscriber.heldBytes).toBeLessThanOrEqual(25 * 1025);
    expect(subscriber.heldBytes).toBeGreaterThanOrEqual(10 * 1025);
  });

  test("is known exactly where all that was there at a look is gone, and nothing else", () => {
    const held = heldSubscriber();
    const { subscriber } = held;
    for (let n = 0; n < 2; n++) {
      subscriber.send(batchOf(many(100, "x")));
      subscriber.look();
    }
    held.read(100);
    subscriber.look();
    expect(subscriber.backlog).toBe(100 * 3);
    expect(subscriber.heldBytes).toBe(100 * 1025);
  });

  test("of heads is what RFC 6455 says", () => {
    expect([0, 125, 126, 65_535, 65_536].map((bytes) => headBytesOf(bytes))).toEqual([
      2, 2, 4, 4, 10,
    ]);
  });
});

test("11.1 where the runtime does not tell, what is not acknowledged is held", () => {
  const { subscriber, socket } = heldSubscriber("stream");
  Object.defineProperty(socket, "bufferedAmount", { value: undefined });
  subscriber.acknowledge({ epoch: "epoch", offset: 0 });
  const batch = batchOf(["x"]);
  subscriber.look();
  subscriber.send(batch);
  subscriber.look();
  expect(subscriber.heldBytes).toBe(batch.frames[0]?.bytes);
});
