/** PROTOCOL.md, section 6, over real sockets: what is published is what arrives. */
import { randomBytes } from "node:crypto";
import { WebSocket as PartySocket } from "partysocket";
import { describe, expect, test } from "vitest";
import { freshTopic } from "../support/addresses.ts";
import { open } from "../support/client.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";

const MIB = 1_048_576;

describe("messages", () => {
  test("6.1 text and binary, empty and large, arrive byte for byte", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscribers = [await open(sub), await open(sub)];
    const binary = [Buffer.alloc(0), Buffer.from([0, 255, 10, 13]), randomBytes(MIB)];
    const texts = ["", "plain", "Grüße 👋\u0000\uFFFD", "x".repeat(MIB), "é".repeat(MIB / 2)];
    for (const text of texts) publisher.send(text);
    for (const bytes of binary) publisher.send(bytes);
    for (const subscriber of subscribers) {
      for (const text of texts) expect(await subscriber.next()).toEqual({ type: "text", text });
      for (const bytes of binary)
        expect(await subscriber.next()).toEqual({ type: "binary", bytes });
    }
  });

  test("6.1 a fragmented message arrives as one frame", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await RawSocket.open(pub);
    const subscriber = await RawSocket.open(sub);
    publisher.send(OPCODE.text, "one ", { fin: false });
    publisher.send(OPCODE.ping, "in between");
    publisher.send(OPCODE.continuation, "", { fin: false });
    publisher.send(OPCODE.continuation, "message");
    expect(await subscriber.next()).toEqual({
      fin: true,
      opcode: OPCODE.text,
      payload: Buffer.from("one message"),
    });
    expect(await publisher.next()).toMatchObject({
      opcode: OPCODE.pong,
      payload: Buffer.from("in between"),
    });
    publisher.destroy();
    subscriber.destroy();
  });

  test("6.2 6.3 a thousand messages reach fifty subscribers in order", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscribers = await Promise.all(Array.from({ length: 50 }, () => open(sub)));
    const sent = Array.from({ length: 1000 }, (_, n) => `message ${n}`);
    for (const text of sent) publisher.send(text);
    const received = await Promise.all(subscribers.map((subscriber) => subscriber.texts(1000)));
    for (const texts of received) expect(texts).toEqual(sent);
  });

  test("6.3 one that joins or leaves in between disturbs nobody and misses nothing", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const steady = await open(sub);
    const leaving = await Promise.all(Array.from({ length: 30 }, () => open(sub)));
    const sent = Array.from({ length: 600 }, (_, n) => String(n));
    for (const text of sent.slice(0, 300)) publisher.send(text);
    for (const client of leaving) client.socket.terminate();
    const late = await open(sub);
    for (const text of sent.slice(300)) publisher.send(text);
    expect(await steady.texts(600)).toEqual(sent);
    const [first = ""] = await late.texts(1);
    expect(Number(first)).toBeLessThanOrEqual(300);
    expect(await late.texts(599 - Number(first))).toEqual(sent.slice(Number(first) + 1));
  });

  test("6.4 a publisher hears nothing, a subscriber is not heard", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const [chatty, quiet] = [await open(sub), await open(sub)];
    chatty.send("ignored");
    publisher.send("relayed");
    expect(await chatty.texts(1)).toEqual(["relayed"]);
    expect(await quiet.texts(1)).toEqual(["relayed"]);
    publisher.socket.close(1000);
    expect(await publisher.next()).toEqual({ type: "close", code: 1000, reason: "" });
  });

  test("6.5 a message over the bound closes its publisher with 1009 and reaches nobody", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("x".repeat(MIB + 1));
    expect(await publisher.next()).toEqual({
      type: "close",
      code: 1009,
      reason: "message-too-large",
    });
    const next = await open(pub);
    next.send("small");
    expect(await subscriber.texts(1)).toEqual(["small"]);
  });

  test("1.8 no extension is agreed on by the object, no subprotocol by anyone", async () => {
    const { pub } = freshTopic();
    const publisher = await open(pub);
    expect(publisher.socket.protocol).toBe("");
  });
});

describe("liveness", () => {
  test("7.1 pings and pongs are not relayed", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await RawSocket.open(pub);
    const subscriber = await RawSocket.open(sub);
    publisher.send(OPCODE.pong, "unsolicited");
    publisher.send(OPCODE.ping, "are you there");
    publisher.send(OPCODE.text, "after");
    expect(await publisher.next()).toMatchObject({
      opcode: OPCODE.pong,
      payload: Buffer.from("are you there"),
    });
    expect(await subscriber.next()).toMatchObject({ payload: Buffer.from("after") });
    publisher.destroy();
    subscriber.destroy();
  });

  test("7.2 a heartbeat is answered and not relayed, for both roles", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("wspubsub:ping");
    expect(await publisher.texts(1)).toEqual(["wspubsub:pong"]);
    subscriber.send("wspubsub:ping");
    expect(await subscriber.texts(1)).toEqual(["wspubsub:pong"]);
    publisher.send("after");
    expect(await subscriber.texts(1)).toEqual(["after"]);
  });
});

describe("clients that others wrote", () => {
  test("partysocket publishes, Node's own WebSocket subscribes", async () => {
    const { pub, sub } = freshTopic();
    const publisher = new PartySocket(pub);
    await new Promise((resolve) => publisher.addEventListener("open", resolve));
    const subscriber = new WebSocket(sub);
    subscriber.binaryType = "arraybuffer";
    await new Promise((resolve) => subscriber.addEventListener("open", resolve));
    const received: unknown[] = [];
    const both = new Promise<void>((resolve) => {
      subscriber.addEventListener("message", ({ data }) => {
        if (received.push(data) === 2) resolve();
      });
    });
    publisher.send("text");
    publisher.send(new Uint8Array([1, 2, 3]).buffer);
    await both;
    expect(received).toEqual(["text", new Uint8Array([1, 2, 3]).buffer]);
    publisher.close();
    subscriber.close();
  });
});
