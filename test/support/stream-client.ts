/**
 * The stream (PROTOCOL.md, section 10) as the integration tests speak it: npm `ws` behind a queue, and
 * every frame of the hub's held against the grammar of 10.12. What it sends the hub's codec writes. What it reads
 * it reads by a grammar of its own, and so it must stay: a test that reads by the code that it tests asserts
 * nothing. Knows nothing else of the hub's code.
 */
import * as v from "valibot";
import { formatFinish, formatPublish, formatSubscriberAck } from "../../src/core/client-frame.ts";
import { open, type Client } from "./client.ts";

/** The subprotocol. */
export const STREAM = "wspubsub.v1";

/** A message as it was published: text or binary. */
export type Message = string | Buffer;

const Cursor = v.pipe(v.string(), v.regex(/^[0-9A-Za-z._~-]{1,64}$/));
const Id = v.pipe(v.string(), v.regex(/^[!-~]{1,64}$/));
const WireMessage = v.union([v.string(), v.object({ base64: v.pipe(v.string(), v.base64()) })]);
const Problem = v.object({
  type: v.pipe(v.string(), v.regex(/^urn:wspubsub:problem:[a-z-]+$/)),
  title: v.string(),
  status: v.pipe(v.number(), v.integer()),
  detail: v.string(),
  retryAfter: v.optional(v.pipe(v.number(), v.integer())),
});
const Time = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/));
const Count = v.pipe(v.number(), v.integer(), v.minValue(1));
const HubFrame = v.variant("type", [
  v.object({ type: v.literal("open"), cursor: Cursor, recovered: v.nullable(v.boolean()) }),
  v.object({
    type: v.literal("messages"),
    cursor: Cursor,
    // Topics of version 0.1 say none.
    at: v.optional(v.union([Time, v.pipe(v.array(v.tuple([Count, Time])), v.minLength(2))])),
    messages: v.pipe(v.array(WireMessage), v.minLength(1)),
  }),
  v.object({ type: v.literal("gap"), from: Cursor, to: Cursor }),
  v.object({
    type: v.literal("end"),
    reason: v.optional(v.picklist(["finished", "abandoned", "deleted"])),
  }),
  v.object({ type: v.literal("ack"), id: Id, cursor: Cursor }),
  v.object({ type: v.literal("error"), id: v.nullable(Id), problem: Problem }),
]);

/** What the hub may send on a stream. */
export type HubFrame = v.InferOutput<typeof HubFrame>;
type FrameOf<Type extends HubFrame["type"]> = Extract<HubFrame, { type: Type }>;

/** Reads a frame of the hub's; throws at one that 10.12 does not allow. */
export function parseFrame(text: string): HubFrame {
  return v.parse(HubFrame, JSON.parse(text));
}

/** The messages of a `messages` frame. */
export function messagesOf({ messages }: FrameOf<"messages">): Message[] {
  return messages.map((item) =>
    typeof item === "string" ? item : Buffer.from(item.base64, "base64"),
  );
}

/** A `publish` frame. */
export function publishFrame(id: string, messages: readonly Message[]): string {
  return formatPublish({ id, messages: messages.map(copyOf) });
}

/** A `finish` frame. */
export function finishFrame(id: string, messages: readonly Message[]): string {
  return formatFinish({ id, messages: messages.map(copyOf) });
}

/** The bytes of a buffer may lie among those of others. */
function copyOf(message: Message): string | ArrayBuffer {
  return typeof message === "string" ? message : new Uint8Array(message).buffer;
}

/** A subscriber of either kind, known by its messages alone. */
export interface Subscriber {
  /** The next so many; throws at anything else. */
  messages(count: number): Promise<Message[]>;
  /** All that come before the close. */
  rest(): Promise<Message[]>;
  leave(): void;
}

/** Opens a subscriber of either kind. */
export async function subscribe(kind: "raw" | "stream", url: string): Promise<Subscriber> {
  return kind === "stream" ? StreamSubscriber.open(url) : new RawSubscriber(await open(url));
}

/** Opens a publisher of either kind; what it returns publishes some messages and waits for nothing. */
export async function openSender(
  kind: "raw" | "stream",
  url: string,
): Promise<(messages: readonly Message[]) => void> {
  if (kind === "stream") {
    const publisher = await StreamPublisher.open(url);
    return (messages) => void publisher.send(messages);
  }
  const publisher = await open(url);
  return (messages) => {
    for (const message of messages) publisher.send(message);
  };
}

class RawSubscriber implements Subscriber {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async messages(count: number): Promise<Message[]> {
    const messages: Message[] = [];
    while (messages.length < count) {
      const item = await this.#client.next();
      if (item.type === "close") throw new Error(`Closed with ${item.code} ${item.reason}`);
      messages.push(item.type === "text" ? item.text : item.bytes);
    }
    return messages;
  }

  async rest(): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const item = await this.#client.next();
      if (item.type === "close") return messages;
      messages.push(item.type === "text" ? item.text : item.bytes);
    }
  }

  leave(): void {
    this.#client.socket.terminate();
  }
}

/** A subscriber that has received its `open`. */
export class StreamSubscriber implements Subscriber {
  readonly client: Client;
  readonly opened: FrameOf<"open">;
  /** Where to come back: the last cursor of any frame. */
  cursor: string;
  readonly #pending: Message[] = [];

  private constructor(client: Client, opened: FrameOf<"open">) {
    this.client = client;
    this.opened = opened;
    this.cursor = opened.cursor;
  }

  static async open(url: string): Promise<StreamSubscriber> {
    const client = await open(url, [STREAM]);
    return new StreamSubscriber(client, await frameOf(client, "open"));
  }

  async messages(count: number): Promise<Message[]> {
    while (this.#pending.length < count) await this.#takeMessages();
    return this.#pending.splice(0, count);
  }

  /** All up to the one with this cursor, which must be the last of a frame. */
  async until(cursor: string): Promise<Message[]> {
    while (this.cursor !== cursor) await this.#takeMessages();
    return this.#pending.splice(0);
  }

  async rest(): Promise<Message[]> {
    for (;;) {
      const item = await this.client.next();
      if (item.type === "close") return this.#pending.splice(0);
      if (item.type !== "text") throw new Error("Received a binary frame");
      const frame = parseFrame(item.text);
      if (frame.type === "messages") {
        this.#pending.push(...messagesOf(frame));
        this.cursor = frame.cursor;
      }
    }
  }

  /** The `gap` that must come next. */
  async gap(): Promise<FrameOf<"gap">> {
    const gap = await frameOf(this.client, "gap");
    this.cursor = gap.to;
    return gap;
  }

  /** All frames that come before the close. */
  async frames(): Promise<HubFrame[]> {
    const frames: HubFrame[] = [];
    for (;;) {
      const item = await this.client.next();
      if (item.type === "close") return frames;
      if (item.type !== "text") throw new Error("Received a binary frame");
      frames.push(parseFrame(item.text));
    }
  }

  /** Why the topic ended, as the `end` says that must come next. */
  async end(): Promise<FrameOf<"end">["reason"]> {
    return (await frameOf(this.client, "end")).reason;
  }

  /** Tells the hub how far it has come (11.3). */
  ack(cursor = this.cursor): void {
    this.client.send(formatSubscriberAck(cursor));
  }

  leave(): void {
    this.client.socket.terminate();
  }

  async #takeMessages(): Promise<void> {
    const frame = await frameOf(this.client, "messages");
    this.#pending.push(...messagesOf(frame));
    this.cursor = frame.cursor;
  }
}

/** A publisher of the stream. */
export class StreamPublisher {
  readonly client: Client;

  private constructor(client: Client) {
    this.client = client;
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<StreamPublisher> {
    return new StreamPublisher(await open(url, [STREAM], headers));
  }

  /** Sends a `publish` and returns its id. */
  send(messages: readonly Message[], id: string = crypto.randomUUID()): string {
    this.client.send(publishFrame(id, messages));
    return id;
  }

  /** Sends a `finish` and returns its id. */
  sendFinish(messages: readonly Message[] = [], id: string = crypto.randomUUID()): string {
    this.client.send(finishFrame(id, messages));
    return id;
  }

  /** The `ack` that must come next. */
  ack(): Promise<FrameOf<"ack">> {
    return frameOf(this.client, "ack");
  }

  /** The `error` that must come next. */
  error(): Promise<FrameOf<"error">> {
    return frameOf(this.client, "error");
  }

  /** The next so many answers: the ids of acks in their order, and the problems of other frames. */
  async answers(count: number): Promise<{
    acked: string[];
    problems: Map<string | null, FrameOf<"error">["problem"]>;
  }> {
    const acked: string[] = [];
    const problems = new Map<string | null, FrameOf<"error">["problem"]>();
    for (let n = 0; n < count; n++) {
      const frame = await nextFrame(this.client);
      if (frame.type === "ack") acked.push(frame.id);
      else if (frame.type === "error") problems.set(frame.id, frame.problem);
      else throw new Error(`Expected an answer, not ${JSON.stringify(frame)}`);
    }
    return { acked, problems };
  }

  /** Publishes, waits for the `ack` and returns its cursor. */
  async publish(messages: readonly Message[], id?: string): Promise<string> {
    const sent = this.send(messages, id);
    const ack = await this.ack();
    if (ack.id !== sent) throw new Error(`Expected the ack of ${sent}, not of ${ack.id}`);
    return ack.cursor;
  }
}

async function frameOf<Type extends HubFrame["type"]>(
  client: Client,
  type: Type,
): Promise<FrameOf<Type>> {
  const frame = await nextFrame(client);
  if (!isOf(frame, type)) throw new Error(`Expected "${type}", not ${JSON.stringify(frame)}`);
  return frame;
}

async function nextFrame(client: Client): Promise<HubFrame> {
  const item = await client.next();
  if (item.type !== "text") throw new Error(`Expected a frame, not ${JSON.stringify(item)}`);
  return parseFrame(item.text);
}

function isOf<Type extends HubFrame["type"]>(frame: HubFrame, type: Type): frame is FrameOf<Type> {
  return frame.type === type;
}
