/**
 * A subscriber: the messages of one topic, each once and in order, handed over as fast as somebody takes them. Owns
 * where it goes on after a cut, how long a topic is waited for, and what the hub may send (PROTOCOL.md, 11.3). Knows
 * a link, never a socket. Invariant: all that happens reaches the caller in the order of the hub's frames.
 */
import { formatSubscriberAck } from "../core/client-frame.ts";
import { beginLife } from "./face.ts";
import { HubError } from "./hub-error.ts";
import { makeLink, type LinkUser } from "./link.ts";
import { parseStart, placeWithin } from "./place.ts";
import type { Frame } from "./read-frame.ts";
import type { Received, SubscribeOptions, Subscription } from "./types.ts";

const HEARTBEAT_MS = 10_000;
/** What a URL may ask for (PROTOCOL.md, 3.1). */
const MAX_WAIT_SECONDS = 60;
/** Bytes that are handed over between two acks: half of what the hub sends ahead at least. */
const ACK_BYTES = 262_144;
/** The least, where the hub's bound turns out to be lower: so many are worth an ack (11.4). */
const MIN_ACK_BYTES = 32_768;
/** While more bytes wait for the caller nobody comes back to get more. */
const MAX_WAITING_BYTES = 262_144;

/** Frames that concern the caller. */
type News = Extract<Frame, { type: "messages" | "gap" | "end" }>;

/** One of them, as it waits. */
interface Item {
  readonly frame: News;
  /** The place where it begins. */
  readonly start: string;
  /** How many of its messages are known already. */
  readonly known: number;
  readonly bytes: number;
  /** By which connection it came. */
  readonly session: number;
}

/** Subscribes to a topic; throws a TypeError for a URL that cannot be. */
export function makeSubscription(url: string | URL, options: SubscribeOptions): Subscription {
  const { onMessage, gap, waitSeconds = Infinity } = options;
  const patienceMs = waitSeconds * 1000;
  const { face, over, tell, changed, end } = beginLife(options);
  /** Behind all that was handed over. */
  const initial: { cursor: string | null } = { cursor: null };
  /** What the next connection asks for, and how much behind it the caller has had in another life. */
  let { since, skip } = parseStart(options.since);
  let items: Item[] = [];
  let waitingBytes = 0;
  let takenBytes = 0;
  let ackBytes = ACK_BYTES;
  let session = 0;
  let isRead = false;
  let wakeReader = (): void => {};
  /** How it ends when all is handed over. */
  let endWhenRead: (() => void) | null = null;
  /** Of this connection: whether it has an `open`, and an `end`. */
  let isOpen = false;
  let hasEnded = false;
  /** Whether something came since the last end. */
  let hasNews = true;
  let askedAtMs = 0;
  let waitsUntilMs: number | null = null;

  const user: LinkUser = {
    isIdle: false,
    changed,
    parameters() {
      user.isIdle = isOpen = hasEnded = false;
      askedAtMs = Date.now();
      const waitMs = (waitsUntilMs ?? askedAtMs + patienceMs) - askedAtMs;
      const wait = Math.min(Math.floor(waitMs / 1000), MAX_WAIT_SECONDS);
      return { since, gap, wait: wait > 0 ? wait : undefined };
    },
    isHeld: () => waitingBytes > MAX_WAITING_BYTES,
    receive(frame, text) {
      switch (frame.type) {
        case "open":
          return begin(frame.cursor);
        case "messages":
        case "gap":
        case "end":
          return take(frame, new TextEncoder().encode(text).length);
        default:
      }
    },
    lost({ slug, code }) {
      if (slug === "slow-consumer") ackBytes = Math.max(MIN_ACK_BYTES, ackBytes / 2);
      if (!hasEnded && code !== 4404) {
        if (isOpen) waitsUntilMs = null;
        return Infinity;
      }
      waitsUntilMs ??= askedAtMs + patienceMs;
      return waitsUntilMs - Date.now();
    },
    gone(error) {
      const isOver = error instanceof HubError && error.code === 1000;
      const late = new HubError("topic-not-live", "The topic has ended, and has not started again");
      endWhenRead = () => end("failed", isOver ? late : error);
      settle();
    },
  };
  const link = makeLink(url, options, HEARTBEAT_MS, user, over);

  function begin(cursor: string): void {
    session += 1;
    takenBytes = 0;
    isOpen = true;
    subscription.cursor ??= skip > 0 ? (options.since ?? cursor) : cursor;
    since = cursor;
    // From the first one on what is sent is bounded.
    link.send(formatSubscriberAck(cursor));
  }

  function take(frame: News, bytes: number): void {
    const start = since ?? "";
    let known = 0;
    if (frame.type === "messages") {
      known = Math.min(skip, frame.messages.length);
      skip -= known;
      since = frame.cursor;
    } else if (frame.type === "gap") {
      skip = 0;
      since = frame.to;
    } else {
      hasEnded = true;
      if (frame.reason !== "abandoned" && frame.reason !== null) {
        endWhenRead = () => end("closed");
        link.close();
      } else if (hasNews) waitsUntilMs = Date.now() + patienceMs;
      else {
        user.isIdle = true;
        return;
      }
    }
    hasNews = !hasEnded;
    items.push({ frame, start, known, bytes, session });
    waitingBytes += bytes;
    settle();
  }

  /** Tells what stands before the next message, and the end where none does. */
  function settle(): void {
    for (let next = items[0]?.frame; next && next.type !== "messages"; next = items[0]?.frame) {
      shift();
      const { type, ...detail } = next;
      if (next.type === "gap") subscription.cursor = next.to;
      tell(type, detail);
    }
    if (items.length === 0) endWhenRead?.();
    wakeReader();
  }

  function shift(): void {
    waitingBytes -= items.shift()?.bytes ?? 0;
  }

  async function* read(): AsyncGenerator<Received, void> {
    try {
      while (face.state === "open") {
        const [item] = items;
        if (item?.frame.type === "messages") yield* handOver(item, item.frame);
        else {
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
      }
      await face.done;
    } finally {
      end("closed");
    }
  }

  function* handOver(
    item: Item,
    { cursor, messages }: Extract<News, { type: "messages" }>,
  ): Generator<Received> {
    for (let n = item.known; n < messages.length;) {
      const message = messages[n++];
      if (message === undefined || items[0] !== item) return;
      subscription.cursor = n === messages.length ? cursor : placeWithin(item.start, n);
      const received = { ...message, cursor: subscription.cursor };
      tell("message", received);
      yield received;
    }
    if (items[0] !== item) return;
    shift();
    if (item.session === session) takenBytes += item.bytes;
    if (takenBytes >= ackBytes) {
      takenBytes = 0;
      link.send(formatSubscriberAck(cursor));
    }
    if (!user.isHeld?.()) link.resume();
    settle();
  }

  /** Without a loop of the caller's. */
  async function pump(): Promise<void> {
    for await (const received of subscription) {
      try {
        await onMessage?.(received);
      } catch (error) {
        // Whatever the caller's function throws.
        end("failed", error);
      }
    }
  }

  const subscription = Object.assign(face, initial, {
    close: () => end("closed"),
    async [Symbol.asyncDispose]() {
      end("closed");
    },
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("The subscription is read already");
      isRead = true;
      return read();
    },
    addEventListener(...args: Parameters<EventTarget["addEventListener"]>) {
      EventTarget.prototype.addEventListener.apply(face, args);
      if (args[0] === "message" && !isRead) start();
    },
  });

  function start(): void {
    // What is thrown `done` rejects with.
    pump().catch(() => {});
  }

  over.addEventListener("abort", () => {
    items = [];
    wakeReader();
  });
  if (onMessage !== undefined) start();
  link.start();
  return subscription;
}
