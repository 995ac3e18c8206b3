/** Fan-out over real sockets: order, rounds, bounds, and members that come and go in mid-round. */
import { describe, expect, test } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { Batch } from "../../../src/topic/batch.ts";
import { FanOut, LINGER_MS, type FanOutTopic } from "../../../src/topic/fan-out.ts";
import { Subscriber } from "../../../src/topic/subscriber.ts";

/** A fan-out over a log that keeps nothing. */
function createFanOut(topic: Partial<FanOutTopic> = {}): FanOut {
  let head = 0;
  return new FanOut({
    append(publications) {
      const messages = publications.flatMap((publication) => publication.messages);
      const first = head + 1;
      head += messages.length;
      return Batch.ofMessages({ epoch: "epoch", first, last: head, atMs: 0 }, messages);
    },
    isDurable: () => false,
    maxBacklogBytes: () => Infinity,
    onSlow: () => {},
    onIdle: () => {},
    hold: (work) => void work(),
    onFailure: () => {},
    ...topic,
  });
}

function publish(fanOut: FanOut, message: Message): void {
  fanOut.publish({ messages: [message], receipt: null });
}

interface Member {
  readonly socket: WebSocket;
  readonly received: Message[];
  /** Resolves once so many messages have arrived. */
  arrived(count: number): Promise<Message[]>;
}

function member(fanOut: FanOut): Member {
  const { 0: client, 1: socket } = new WebSocketPair();
  const received: Message[] = [];
  const waiting: { count: number; resolve: (messages: Message[]) => void }[] = [];
  client.accept();
  client.addEventListener("message", ({ data }) => {
    received.push(data);
    for (const { count, resolve } of waiting) if (received.length >= count) resolve(received);
  });
  socket.accept();
  fanOut.add(new Subscriber(socket, "raw", false));
  return {
    socket,
    received,
    arrived: (count) => {
      if (received.length >= count) return Promise.resolve(received);
      return new Promise((resolve) => waiting.push({ count, resolve }));
    },
  };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n));
}

describe("FanOut", () => {
  test("6.6 an idle topic sends at once, a busy one gathers", async () => {
    const fanOut = createFanOut();
    const one = member(fanOut);
    const linger = scheduler.wait(LINGER_MS).then(() => "lingered");
    publish(fanOut, "0");
    publish(fanOut, "1");
    expect(await Promise.race([one.arrived(1), linger])).toEqual(["0"]);
    expect(await one.arrived(2)).toEqual(["0", "1"]);
  });

  test("6.2 keeps the order over rounds and slices, for every member", async () => {
    const fanOut = createFanOut();
    const members = Array.from({ length: 300 }, () => member(fanOut));
    const sent = numbers(100);
    for (const [i, message] of sent.entries()) {
      publish(fanOut, message);
      if (i % 10 === 0) await scheduler.wait(0);
    }
    for (const one of members) expect(await one.arrived(100)).toEqual(sent);
  });

  test("sends what exceeds the bound without waiting", async () => {
    const fanOut = createFanOut();
    const members = [member(fanOut), member(fanOut)];
    const sent = numbers(10_000);
    for (const message of sent) publish(fanOut, message);
    for (const one of members) expect(await one.arrived(10_000)).toEqual(sent);
  });

  test("holds senders up for some seconds only, and sends everything all the same", async () => {
    const held: Promise<void>[] = [];
    const fanOut = createFanOut({ hold: (work) => void held.push(work()) });
    const members = Array.from({ length: 60 }, () => member(fanOut));
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
      for (const message of sent) publish(fanOut, message);
      expect(held).toHaveLength(1);
      await Promise.all(held);
      // The round goes on without them being held up.
      expect(sentToLast).toBeLessThan(4200);
      for (const one of members) expect(await one.arrived(4200)).toEqual(sent);
      expect(sentToLast).toBe(4200);
    } finally {
      Date.now = now;
    }
  });

  test("a member that closes in mid-round hurts nobody", async () => {
    const fanOut = createFanOut();
    const members = Array.from({ length: 200 }, () => member(fanOut));
    publish(fanOut, "first");
    // The first slice is served, the others wait for the loop to turn.
    members[150]?.socket.close(1000);
    const late = member(fanOut);
    publish(fanOut, "second");
    for (const one of members) {
      const expected = one === members[150] ? [] : ["first", "second"];
      expect(await one.arrived(expected.length)).toEqual(expected);
    }
    expect(await late.arrived(1)).toEqual(["second"]);
  });

  test("release sends everything first, and only to those who were members", async () => {
    const fanOut = createFanOut();
    const members = Array.from({ length: 200 }, () => member(fanOut));
    publish(fanOut, "first");
    publish(fanOut, "second");
    expect(fanOut.release()).toHaveLength(200);
    expect(fanOut.size).toBe(0);
    const late = member(fanOut);
    publish(fanOut, "third");
    for (const one of members) expect(await one.arrived(2)).toEqual(["first", "second"]);
    expect(await late.arrived(1)).toEqual(["third"]);
  });

  test("without members nothing is kept for later ones", async () => {
    const fanOut = createFanOut();
    publish(fanOut, "to nobody");
    const one = member(fanOut);
    publish(fanOut, "to one");
    expect(await one.arrived(1)).toEqual(["to one"]);
  });
});
