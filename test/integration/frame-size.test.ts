/** PROTOCOL.md, 9.6 and 10.4, over real sockets: what a client can take, and cursors that are ahead of the log. */
import { describe, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { Client, ownAddress } from "../support/client.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";
import {
  messagesOf,
  parseFrame,
  STREAM,
  StreamPublisher,
  StreamSubscriber,
  subscribe,
  type Message,
} from "../support/stream-client.ts";

const hub = inject("hub");
const MIB = 1_048_576;

/** A stream subscriber that closes with 1009 at frames of more than 1 MiB, as Python's `websockets` does. */
async function openSmall(url: string): Promise<Client> {
  const headers = { "CF-Connecting-IP": ownAddress() };
  const socket = new WebSocket(url, [STREAM], { maxPayload: MIB, headers });
  const client = new Client(socket);
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  return client;
}

/** So many messages, and the cursors of the frames that they came in. */
async function take(
  client: Client,
  count: number,
): Promise<{ messages: Message[]; cursors: string[] }> {
  const messages: Message[] = [];
  const cursors: string[] = [];
  while (messages.length < count) {
    const item = await client.next();
    if (item.type !== "text") throw new Error(`Received ${JSON.stringify(item)}`);
    const frame = parseFrame(item.text);
    if (frame.type !== "messages") continue;
    messages.push(...messagesOf(frame));
    cursors.push(frame.cursor);
  }
  return { messages, cursors };
}

describe.runIf(hub.sqlEndpoint !== null).each([
  ["durable", { history_messages: 100_000 }],
  ["fleeting", null],
])("frames of a %s log", (_, policy) => {
  test.each([
    ["quotes", '"'],
    ["backslashes", "\\"],
    ["control characters", "\u0001"],
    ["umlauts", "ä"],
  ])("10.4 400 messages of 2,000 %s reach who takes 1 MiB a frame", async (__, character) => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain(policy));
    const publisher = await StreamPublisher.open(pub);
    const live = await openSmall(sub);
    const sent = Array.from({ length: 400 }, (___, n) => character.repeat(2000) + n);
    const head = await publisher.publish(sent);
    const { messages, cursors } = await take(live, 400);
    expect(messages).toEqual(sent);
    expect(cursors.length).toBeGreaterThan(1);
    expect(cursors.at(-1)).toBe(head);
    // All over again, and from within the publication.
    const [first = ""] = cursors;
    for (const [since, expected] of [
      ["earliest", sent],
      [first, sent.slice(Number(/\d+$/.exec(first)))],
    ] as const) {
      const late = await openSmall(`${sub}?since=${since}`);
      expect((await take(late, expected.length)).messages).toEqual(expected);
      late.socket.terminate();
    }
    live.socket.terminate();
  });
});

/** The cursor of the message that comes next. */
function ahead(cursor: string): string {
  return cursor.replace(/\d+$/, (offset) => String(Number(offset) + 1));
}

describe("a cursor ahead of the log", () => {
  test("9.6 10.5 is a gap at its end, and nothing comes twice", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const head = await publisher.publish(["1", "2"]);
    const reader = await StreamSubscriber.open(`${sub}?since=${ahead(head)}`);
    expect(reader.opened).toMatchObject({ cursor: head, recovered: false });
    expect(await reader.gap()).toMatchObject({ from: head, to: head });
    const raw = await subscribe("raw", `${sub}?since=${ahead(head)}`);
    await publisher.publish(["3"]);
    expect(await reader.messages(1)).toEqual(["3"]);
    expect(await raw.messages(1)).toEqual(["3"]);
  });

  test("9.7 closes with 4510 who asked for that", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const head = await publisher.publish(["1"]);
    // Sees the Close frame itself, which a client's library reports when the connection has ended, too (8.5).
    const reader = await RawSocket.open(`${sub}?since=${ahead(head)}&gap=close`, STREAM);
    const closes = async (): Promise<number> => {
      const { opcode, payload } = await reader.next();
      return opcode === OPCODE.close ? payload.readUInt16BE(0) : closes();
    };
    expect(await closes()).toBe(4510);
    reader.destroy();
  });
});
