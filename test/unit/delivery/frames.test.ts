/** PROTOCOL.md, 10.4: a frame that joins messages is at most 1 MiB as it goes over the wire. */
import { describe, expect, test, vi } from "vitest";
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import type { Message } from "../../../src/core/message.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";

const MIB = 1_048_576;
const encoder = new TextEncoder();

function batchOf(messages: readonly Message[], first = 1): Batch {
  const last = first + messages.length - 1;
  return Batch.ofMessages({ epoch: "k3x9q0v7h2ma", first, last, atMs: 0 }, messages);
}

function many(count: number, message: Message): Message[] {
  return Array.from({ length: count }, () => message);
}

function at(offset: number, atMs: number, messages: readonly Message[]): Batch {
  const last = offset + messages.length - 1;
  return Batch.ofMessages({ epoch: "k3x9q0v7h2ma", first: offset, last, atMs }, messages);
}

/** How many messages of which time each frame has. */
function timesOf({ frames }: Batch): (readonly [number, number])[][] {
  return frames.map(({ text }) => {
    const frame = parseHubFrame(text);
    if (!frame.ok || frame.value.type !== "messages") throw new Error("No frame of messages");
    return (frame.value.at ?? []).map(({ count, atMs }) => [count, atMs] as const);
  });
}

/** What the frames carry, by the cursor of each. */
function read({ frames }: Batch): (readonly [string, readonly Message[]])[] {
  return frames.map(({ text }) => {
    const frame = parseHubFrame(text);
    if (!frame.ok || frame.value.type !== "messages") throw new Error("No frame of messages");
    return [frame.value.cursor, frame.value.messages];
  });
}

const KINDS: [string, Message][] = [
  ["ASCII", "a".repeat(2000)],
  ["quotes", '"'.repeat(2000)],
  ["backslashes", "\\".repeat(2000)],
  ["control characters", "\u0001".repeat(2000)],
  ["three bytes a unit", "€".repeat(2000)],
  ["pairs", "😀".repeat(1000)],
  ["binary", new ArrayBuffer(2000)],
];

function streamSubscriber(): Subscriber {
  const { 0: peer, 1: socket } = new WebSocketPair();
  socket.accept();
  // Or it were collected, and the socket closed.
  Object.defineProperty(socket, "peer", { value: peer });
  // Only what is not acknowledged is to count.
  Object.defineProperty(socket, "bufferedAmount", { value: 0 });
  return new Subscriber({
    socket,
    protocol: "stream",
    closesOnGap: false,
    rememberPlace: () => {},
  });
}

function sum(bytes: readonly number[]): number {
  return bytes.reduce((one, other) => one + other, 0);
}

describe("the frames of a batch", () => {
  test.each(KINDS)("10.4 are at most 1 MiB, %s", (_, message) => {
    const batch = batchOf(many(1000, message), 9500);
    const frames = read(batch);
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.flatMap(([, messages]) => messages)).toEqual(batch.messages);
    let offset = 9499;
    for (const [cursor, messages] of frames) {
      offset += messages.length;
      expect(cursor).toBe(`k3x9q0v7h2ma-${offset}`);
    }
    expect(batch.frames.at(-1)?.last).toBe(10_499);
    for (const { text, bytes } of batch.frames) {
      expect(bytes).toBe(encoder.encode(text).length);
      expect(bytes).toBeLessThanOrEqual(MIB);
    }
    // No more of them than it takes.
    const least = Math.min(...batch.frames.slice(0, -1).map(({ bytes }) => bytes));
    expect(least).toBeGreaterThan(MIB - 12_100);
  });

  test("10.4 are one, as long as it fits, to the byte", () => {
    const empty = batchOf(["", ""]).frames[0]?.bytes ?? NaN;
    const fits = batchOf(["a".repeat(MIB - empty - 2), "bb"]);
    expect(fits.frames.map(({ bytes }) => bytes)).toEqual([MIB]);
    const larger = batchOf(["a".repeat(MIB - empty - 2), "bbb"]);
    expect(read(larger).map(([, messages]) => messages.length)).toEqual([1, 1]);
  });

  test("10.4 are filled to the byte", () => {
    const empty = batchOf(["", ""]).frames[0]?.bytes ?? NaN;
    const full = ["a".repeat(MIB - empty - 2), "bb"];
    expect(read(batchOf([...full, "c"])).map(([, messages]) => messages.length)).toEqual([2, 1]);
  });

  test("10.4 are no larger for many small messages", () => {
    const sizes = batchOf(many(800_000, "")).frames.map(({ bytes }) => bytes);
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MIB);
  });

  test("10.4 only one message by itself makes a larger one", () => {
    const large = '"'.repeat(MIB);
    expect(batchOf([large]).frames).toHaveLength(1);
    const frames = read(batchOf(["a", large, "b", "c", large, large]));
    expect(frames.map(([cursor, messages]) => [cursor.slice(-1), messages])).toEqual([
      ["1", ["a"]],
      ["2", [large]],
      ["4", ["b", "c"]],
      ["5", [large]],
      ["6", [large]],
    ]);
    // 10.4: six times its bytes, and a little.
    const [worst] = batchOf(["\u0001".repeat(MIB)]).frames;
    expect(worst?.bytes).toBeLessThanOrEqual(6 * MIB + 128);
  });

  test("are made once, and a batch that fits is counted once", () => {
    const batch = batchOf(many(100, "€".repeat(100)));
    const encode = vi.spyOn(TextEncoder.prototype, "encodeInto");
    expect(batch.frames).toBe(batch.frames);
    expect(batch.frames).toHaveLength(1);
    const units = encode.mock.calls.map(([text]) => text.length);
    expect(sum(units)).toBe(batch.frames[0]?.text.length);
    encode.mockRestore();
  });
});

describe("10.4 the times of a batch", () => {
  test("are one, as long as it was not joined", () => {
    expect(timesOf(at(1, 1000, ["a", "b"]))).toEqual([[[2, 1000]]]);
    expect(at(1, 1000, ["a", "b"]).frames[0]?.text).toContain('"at":"1970-01-01T00:00:01.000Z"');
  });

  test("are those of what was joined, the same ones together", () => {
    const joined = Batch.join([
      at(1, 1000, ["a", "b"]),
      at(3, 1000, ["c"]),
      at(4, 2000, ["d"]),
      at(5, 3000, ["e", "f"]),
    ]);
    expect(timesOf(joined)).toEqual([
      [
        [3, 1000],
        [1, 2000],
        [2, 3000],
      ],
    ]);
    expect(timesOf(joined.after(2))).toEqual([
      [
        [1, 1000],
        [1, 2000],
        [2, 3000],
      ],
    ]);
    expect(timesOf(joined.after(4))).toEqual([[[2, 3000]]]);
    expect(timesOf(joined.after(5))).toEqual([[[1, 3000]]]);
    expect(timesOf(joined.upTo(4))).toEqual([
      [
        [3, 1000],
        [1, 2000],
      ],
    ]);
    expect(timesOf(joined.upTo(1))).toEqual([[[1, 1000]]]);
    expect(timesOf(joined.after(2).upTo(4))).toEqual([
      [
        [1, 1000],
        [1, 2000],
      ],
    ]);
    expect([joined, joined.after(3), joined.after(5)].map(({ place }) => place.atMs)).toEqual([
      1000, 2000, 3000,
    ]);
  });

  test("are each frame's own where it takes several", () => {
    const joined = Batch.join([
      at(1, 1000, many(300, '"'.repeat(2000))),
      at(301, 2000, many(300, '"'.repeat(2000))),
    ]);
    const frames = timesOf(joined);
    expect(frames.length).toBeGreaterThan(2);
    const counts = read(joined).map(([, { length }]) => length);
    expect(frames.map((spans) => sum(spans.map(([count]) => count)))).toEqual(counts);
    expect(frames[0]).toEqual([[counts[0], 1000]]);
    expect(frames.at(-1)).toEqual([[counts.at(-1), 2000]]);
    const ofTheFirst = frames.flat().filter(([, atMs]) => atMs === 1000);
    expect(sum(ofTheFirst.map(([count]) => count))).toBe(300);
  });

  test("leave frames as small as they must be", () => {
    const parts = Array.from({ length: 4000 }, (_, n) => at(n + 1, n, ["a".repeat(300)]));
    const [first, ...rest] = parts;
    if (first === undefined) throw new Error("No parts");
    const sizes = Batch.join([first, ...rest]).frames.map(({ bytes }) => bytes);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MIB);
  });

  test("that lie ahead of one are set back to it", () => {
    const joined = Batch.join([at(1, 1000, ["a"]), at(2, 2000, ["b"]), at(3, 3000, ["c"])]);
    expect(timesOf(joined.setBack(1500))).toEqual([
      [
        [1, 1000],
        [2, 1500],
      ],
    ]);
    expect(timesOf(joined)).toEqual([
      [
        [1, 1000],
        [1, 2000],
        [1, 3000],
      ],
    ]);
    expect(joined.setBack(3000)).toBe(joined);
  });
});

describe("a subscriber that acknowledges", () => {
  test("11.3 may acknowledge a part of a batch", () => {
    const subscriber = streamSubscriber();
    subscriber.acknowledge({ epoch: "k3x9q0v7h2ma", offset: 0 });
    const batch = batchOf(many(1000, '"'.repeat(2000)));
    subscriber.send(batch);
    const sizes = batch.frames.map(({ bytes }) => bytes);
    expect(subscriber.backlog).toBe(sum(sizes));
    const backlogs = batch.frames.map(({ last }) => {
      subscriber.acknowledge({ epoch: "k3x9q0v7h2ma", offset: last });
      return subscriber.backlog;
    });
    expect(backlogs).toEqual(sizes.map((_, n) => sum(sizes.slice(n + 1))));
  });

  test("10.4 that is closed in between is sent no more", () => {
    const subscriber = streamSubscriber();
    const batch = batchOf(many(1000, '"'.repeat(2000)));
    const send = vi.spyOn(subscriber.socket, "send").mockImplementation(() => {
      subscriber.socket.close(1000);
    });
    subscriber.send(batch);
    expect(send).toHaveBeenCalledTimes(1);
  });
});

test("the loop turns more often where a batch is several frames", () => {
  const fanOut = new FanOut({ maxBacklogBytes: () => Infinity, close: () => {} });
  const subscribers = Array.from({ length: 30 }, streamSubscriber);
  const sends = subscribers.map(({ socket }) => vi.spyOn(socket, "send"));
  for (const subscriber of subscribers) fanOut.add(subscriber);
  const batch = batchOf(many(1000, '"'.repeat(2000)));
  fanOut.deliver(batch);
  expect(fanOut.serve()).toBe(true);
  // Each counts as 5 sends, of 128.
  const sent = sends.map(({ mock }) => mock.calls.length).filter((count) => count > 0);
  expect(sent).toEqual(Array.from({ length: 7 }, () => batch.frames.length));
});
