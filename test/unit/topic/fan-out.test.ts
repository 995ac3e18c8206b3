/** Fan-out over real sockets: order, rounds, bounds, and members that come and go in mid-round. */
import { describe, expect, test } from "vitest";
import { FanOut, LINGER_MS, type Message } from "../../../src/topic/fan-out.ts";

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
  fanOut.add(socket);
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
    const fanOut = new FanOut();
    const one = member(fanOut);
    const linger = scheduler.wait(LINGER_MS).then(() => "lingered");
    fanOut.publish("0");
    fanOut.publish("1");
    expect(await Promise.race([one.arrived(1), linger])).toEqual(["0"]);
    expect(await one.arrived(2)).toEqual(["0", "1"]);
  });

  test("6.2 keeps the order over rounds and slices, for every member", async () => {
    const fanOut = new FanOut();
    const members = Array.from({ length: 300 }, () => member(fanOut));
    const sent = numbers(100);
    for (const [i, message] of sent.entries()) {
      fanOut.publish(message);
      if (i % 10 === 0) await scheduler.wait(0);
    }
    for (const one of members) expect(await one.arrived(100)).toEqual(sent);
  });

  test("sends what exceeds the bound without waiting", async () => {
    const fanOut = new FanOut();
    const members = [member(fanOut), member(fanOut)];
    const sent = numbers(10_000);
    for (const message of sent) fanOut.publish(message);
    for (const one of members) expect(await one.arrived(10_000)).toEqual(sent);
  });

  test("a member that closes in mid-round hurts nobody", async () => {
    const fanOut = new FanOut();
    const members = Array.from({ length: 200 }, () => member(fanOut));
    fanOut.publish("first");
    // The first slice is served, the others wait for the loop to turn.
    members[150]?.socket.close(1000);
    const late = member(fanOut);
    fanOut.publish("second");
    for (const one of members) {
      const expected = one === members[150] ? [] : ["first", "second"];
      expect(await one.arrived(expected.length)).toEqual(expected);
    }
    expect(await late.arrived(1)).toEqual(["second"]);
  });

  test("release sends everything first, and only to those who were members", async () => {
    const fanOut = new FanOut();
    const members = Array.from({ length: 200 }, () => member(fanOut));
    fanOut.publish("first");
    fanOut.publish("second");
    expect(fanOut.release()).toHaveLength(200);
    expect(fanOut.size).toBe(0);
    const late = member(fanOut);
    fanOut.publish("third");
    for (const one of members) expect(await one.arrived(2)).toEqual(["first", "second"]);
    expect(await late.arrived(1)).toEqual(["third"]);
  });

  test("without members nothing is kept for later ones", async () => {
    const fanOut = new FanOut();
    fanOut.publish("to nobody");
    const one = member(fanOut);
    fanOut.publish("to one");
    expect(await one.arrived(1)).toEqual(["to one"]);
  });
});
