/** Sequencer and fan-out over real sockets: order, rounds, bounds, and members that come and go in mid-round. */
import { describe, expect, test } from "vitest";
import type { Cursor } from "../../../src/core/cursor.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";
import { LINGER_MS } from "../../../src/topic/sequencer.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { bareSubscriber, createPipeline, member, numbers, publish } from "../support/pipeline.ts";

describe("sequencer and fan-out", () => {
  test("6.6 an idle topic sends at once, a busy one gathers", async () => {
    const pipeline = createPipeline();
    const one = member(pipeline);
    const linger = scheduler.wait(LINGER_MS).then(() => "lingered");
    publish(pipeline, "0");
    publish(pipeline, "1");
    expect(await Promise.race([one.arrived(1), linger])).toEqual(["0"]);
    expect(await one.arrived(2)).toEqual(["0", "1"]);
  });

  test("6.2 keeps the order over rounds and slices, for every member", async () => {
    const pipeline = createPipeline();
    const members = Array.from({ length: 300 }, () => member(pipeline));
    const sent = numbers(100);
    for (const [i, message] of sent.entries()) {
      publish(pipeline, message);
      if (i % 10 === 0) await scheduler.wait(0);
    }
    for (const one of members) expect(await one.arrived(100)).toEqual(sent);
  });

  test("sends what exceeds the bound without waiting", async () => {
    const pipeline = createPipeline();
    const members = [member(pipeline), member(pipeline)];
    const sent = numbers(10_000);
    await expectReached("sender-held-up", () => {
      for (const message of sent) publish(pipeline, message);
    });
    for (const one of members) expect(await one.arrived(10_000)).toEqual(sent);
  });

  test("holds senders up for some seconds only, and sends everything all the same", async () => {
    const held: Promise<void>[] = [];
    const pipeline = createPipeline({ hold: (work) => void held.push(work()) });
    const members = Array.from({ length: 60 }, () => member(pipeline));
    let sentToLast = 0;
    const last = members.at(-1)?.socket;
    if (last !== undefined) {
      const send = last.send.bind(last);
      last.send = (message) => {
        sentToLast += 1;
        send(message);
      };
    }
    const { now } = Date;
    let aheadMs = 0;
    Date.now = () => now() + (aheadMs += 1000);
    try {
      const sent = numbers(4200);
      for (const message of sent) publish(pipeline, message);
      expect(held).toHaveLength(1);
      await expectReached("hold-cut-short-in-round", () => Promise.all(held));
      // The round goes on without them being held up.
      expect(sentToLast).toBeLessThan(4200);
      for (const one of members) expect(await one.arrived(4200)).toEqual(sent);
      expect(sentToLast).toBe(4200);
    } finally {
      Date.now = now;
    }
  });

  test("a member that closes in mid-round hurts nobody", async () => {
    const pipeline = createPipeline();
    const members = Array.from({ length: 200 }, () => member(pipeline));
    publish(pipeline, "first");
    // The first slice is served, the others wait for the loop to turn.
    members[150]?.socket.close(1000);
    const late = member(pipeline);
    publish(pipeline, "second");
    await expectReached("send-too-late", async () => {
      for (const one of members) {
        const expected = one === members[150] ? [] : ["first", "second"];
        expect(await one.arrived(expected.length)).toEqual(expected);
      }
    });
    expect(await late.arrived(1)).toEqual(["second"]);
  });

  test("those who are detached get what was due to them, and nothing that comes", async () => {
    const pipeline = createPipeline();
    const members = Array.from({ length: 200 }, () => member(pipeline));
    publish(pipeline, "first");
    publish(pipeline, "second");
    pipeline.sequencer.flush();
    const detached = pipeline.fanOut.detach({ maxBacklogBytes: () => Infinity, close: () => {} });
    expect(pipeline.fanOut.size).toBe(0);
    expect(pipeline.fanOut.isIdle).toBe(true);
    while (detached.serve()) await detached.rest();
    const late = member(pipeline);
    publish(pipeline, "third");
    for (const one of members) expect(await one.arrived(2)).toEqual(["first", "second"]);
    expect(await late.arrived(1)).toEqual(["third"]);
  });

  test("without members nothing is kept for later ones", async () => {
    const pipeline = createPipeline();
    publish(pipeline, "to nobody");
    const one = member(pipeline);
    publish(pipeline, "to one");
    expect(await one.arrived(1)).toEqual(["to one"]);
  });

  test("a flush gives places and acks at once, and delivers in turn", async () => {
    const pipeline = createPipeline();
    const members = Array.from({ length: 300 }, () => member(pipeline));
    publish(pipeline, "0");
    const acks: Cursor[] = [];
    const receipt = { name: null, ack: (cursor: Cursor) => void acks.push(cursor) };
    pipeline.sequencer.publish({ messages: ["1", "2"], receipt });
    pipeline.sequencer.publish({ messages: [], receipt });
    let sends = 0;
    for (const { socket } of members) {
      const send = socket.send.bind(socket);
      socket.send = (message) => {
        sends += 1;
        send(message);
      };
    }
    const late = member(pipeline);
    pipeline.sequencer.flush();
    expect(acks).toEqual([
      { epoch: "epoch", offset: 3 },
      { epoch: "epoch", offset: 3 },
    ]);
    expect(sends).toBe(0);
    // Its place is behind what has gathered, and before what comes.
    const later = member(pipeline);
    publish(pipeline, "3");
    for (const one of members) expect(await one.arrived(4)).toEqual(["0", "1", "2", "3"]);
    expect(await late.arrived(3)).toEqual(["1", "2", "3"]);
    expect(await later.arrived(1)).toEqual(["3"]);
  });

  test("a flush takes all that has gathered, also where it is more than one batch", async () => {
    const pipeline = createPipeline();
    const one = member(pipeline);
    let acks = 0;
    const receipt = { name: null, ack: () => void (acks += 1) };
    // The first goes at once, and no two of the others fit a batch.
    const sent = Array.from({ length: 4 }, (_, n) => String(n).padEnd(300 * 1024));
    for (const message of sent) pipeline.sequencer.publish({ messages: [message], receipt });
    expect(acks).toBe(1);
    pipeline.sequencer.flush();
    expect(acks).toBe(4);
    expect(await one.arrived(4)).toEqual(sent);
  });

  test("10.8 what storage does not take is neither acknowledged nor delivered, and is known to have failed", async () => {
    const error = new Error("database or disk is full: SQLITE_FULL");
    const failures: unknown[] = [];
    const { promise: failed, resolve: onFailure } = Promise.withResolvers<unknown>();
    const pipeline = createPipeline({
      onAppend: () => {
        throw error;
      },
      onLogFailure: (cause) => void failures.push(cause),
      onFailure,
    });
    const one = member(pipeline);
    const acks: Cursor[] = [];
    const receipt = { name: null, ack: (cursor: Cursor) => void acks.push(cursor) };
    pipeline.sequencer.publish({ messages: ["lost"], receipt });
    expect(await failed).toBe(error);
    expect(failures).toEqual([error]);
    expect(acks).toEqual([]);
    expect(one.received).toEqual([]);
  });

  test("who is too slow, or has left, is told of once, however many batches wait", async () => {
    const slow: WebSocket[] = [];
    const fanOut = new FanOut({
      maxBacklogBytes: () => -1,
      close: (socket) => {
        slow.push(socket);
        fanOut.remove(socket);
      },
    });
    const [slowOne, gone] = [new WebSocketPair()[1], new WebSocketPair()[1]];
    let sends = 0;
    for (const socket of [slowOne, gone]) {
      socket.accept();
      socket.send = () => void (sends += 1);
      fanOut.add(bareSubscriber(socket));
    }
    for (const first of [1, 2]) {
      fanOut.deliver(Batch.ofMessages({ epoch: "epoch", first, last: first, atMs: 0 }, ["x"]));
    }
    fanOut.remove(gone);
    await expectReached("slow-in-round", () =>
      expectReached("gone-when-slow", () => {
        while (fanOut.serve()) continue;
      }),
    );
    expect(slow).toEqual([slowOne]);
    expect(sends).toBe(0);
  });

  test.each([
    { protocol: "raw", messages: 1, served: 128 },
    { protocol: "raw", messages: 2, served: 64 },
    { protocol: "raw", messages: 1000, served: 4 },
    { protocol: "stream", messages: 1, served: 128 },
    { protocol: "stream", messages: 2, served: 26 },
  ] as const)(
    "a slice of $messages messages has $served $protocol sockets",
    ({ protocol, messages, served }) => {
      const fanOut = new FanOut({ maxBacklogBytes: () => Infinity, close: () => {} });
      const reached = new Set<WebSocket>();
      for (let n = 0; n < 200; n++) {
        const { 0: peer, 1: socket } = new WebSocketPair();
        socket.accept();
        Object.defineProperty(socket, "peer", { value: peer });
        socket.send = () => void reached.add(socket);
        const kept = { protocol, closesOnGap: false, rememberPlace: () => {} };
        fanOut.add(new Subscriber({ socket, ...kept }));
      }
      const place = { epoch: "epoch", first: 1, last: messages, atMs: 0 };
      fanOut.deliver(Batch.ofMessages(place, numbers(messages)));
      expect(fanOut.serve()).toBe(true);
      expect(reached.size).toBe(served);
    },
  );

  test("many who are slow are closed some at a time", () => {
    let closed = 0;
    const fanOut = new FanOut({ maxBacklogBytes: () => -1, close: () => (closed += 1) });
    for (let n = 0; n < 100; n++) fanOut.add(bareSubscriber(new WebSocketPair()[1]));
    const place = { epoch: "epoch", first: 1, last: 1, atMs: 0 };
    fanOut.deliver(Batch.ofMessages(place, ["x"]));
    expect(fanOut.serve()).toBe(true);
    expect(closed).toBe(16);
  });

  test("nobody is always among the last of a round", async () => {
    const pipeline = createPipeline();
    const sends: WebSocket[] = [];
    const members = Array.from({ length: 10 }, () => member(pipeline));
    for (const { socket } of members) {
      const send = socket.send.bind(socket);
      socket.send = (message) => {
        sends.push(socket);
        send(message);
      };
    }
    for (const text of numbers(50)) {
      publish(pipeline, text);
      pipeline.sequencer.flush();
    }
    for (const one of members) expect(await one.arrived(50)).toEqual(numbers(50));
    const last = sends.filter((_, n) => n % 10 === 9);
    for (const { socket } of members) {
      const times = last.filter((each) => each === socket).length;
      expect(times).toBeGreaterThanOrEqual(2);
      expect(times).toBeLessThanOrEqual(8);
    }
  });

  test("those who are detached have time to read between two rounds", async () => {
    let maxBacklog = 0;
    const closed: WebSocket[] = [];
    const node = {
      maxBacklogBytes: () => maxBacklog,
      close: (socket: WebSocket) => void closed.push(socket),
    };
    const pipeline = createPipeline();
    const one = member(pipeline);
    for (const first of [1, 2]) {
      const place = { epoch: "epoch", first, last: first, atMs: 0 };
      pipeline.fanOut.deliver(Batch.ofMessages(place, [String(first)]));
    }
    const detached = pipeline.fanOut.detach(node);
    expect(detached.serve()).toBe(true);
    maxBacklog = -1;
    const rested = detached.rest();
    setTimeout(() => (maxBacklog = 0), 20);
    await rested;
    detached.serve();
    expect(await one.arrived(2)).toEqual(["1", "2"]);
    expect(closed).toEqual([]);
  });
});
