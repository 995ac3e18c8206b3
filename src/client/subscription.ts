/**
 * A subscriber: the messages of one topic, each once and in order, handed over as fast as somebody takes them. Owns
 * where it goes on after a cut, how long a topic is waited for, and what the hub may send (PROTOCOL.md, 11.3). Knows
 * a link, never a socket. Invariant: all that happens reaches the caller in the order of the hub's frames.
 */
import { formatSubscriberAck } from "../core/client-frame.ts";
import { beginLife } from "./face.ts";
import { HubError } from "./hub-error.ts";
import { openLink, type LinkUser } from "./link.ts";
import { messagesOf, textOf } from "./read-frame.ts";
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

/** The messages of a frame, as they wait for the caller. */
interface Batch {
  readonly messages: readonly Omit<Received, "cursor">[];
  /** The place where it begins, and how many behind it the caller has had in another life. */
  readonly start: string | undefined;
  readonly known: number;
  readonly cursor: string;
  readonly bytes: number;
}

/**
 * Subscribes to a topic: `wss://HOST/ws/sub/DOMAIN/TOPIC`. It connects, and comes back whenever it is cut off, until it
 * is closed. Throws a TypeError for a URL that cannot be, or that holds a credential.
 */
export function subscribe(url: string | URL, options: SubscribeOptions = {}): Subscription {
  const { onMessage, gap, waitSeconds = Infinity } = options;
  const patienceMs = waitSeconds * 1000;
  const { face, over, tell, changed, end } = beginLife(options);
  const initial: { cursor: string | null } = { cursor: null };

  // A cursor within a frame, where the hub has none, is that of the frame's begin, with a number (10.4).
  const [, within, count] = /^(.+)~(\d+)$/.exec(options.since ?? "") ?? [];
  let since = within ?? options.since;
  let skip = Number(count ?? 0);

  /** What waits for the caller: messages, and what is to be done between them. */
  let queue: (Batch | (() => void))[] = [];
  let waitingBytes = 0;
  let takenBytes = 0;
  let ackBytes = ACK_BYTES;
  let isRead = false;
  /** Tells that the queue has changed: to the reader while it is empty, to the link while it is full. */
  let wake = (): void => {};

  /** Of this connection. */
  let hasEnded = false;
  /** Whether something came since the last end. */
  let hasNews = true;
  let waitsUntilMs = 0;

  const user: LinkUser = {
    changed,
    async ready() {
      while (waitingBytes > MAX_WAITING_BYTES) await queueChange();
    },
    parameters() {
      user.isIdle = hasEnded = false;
      waitsUntilMs ||= Date.now() + patienceMs;
      const seconds = Math.floor((waitsUntilMs - Date.now()) / 1000);
      return { since, gap, wait: Math.max(0, Math.min(MAX_WAIT_SECONDS, seconds)) };
    },
    receive(frame, text) {
      switch (frame.type) {
        case "open":
          since = textOf(frame.cursor);
          subscription.cursor ??= (skip > 0 && options.since) || since;
          // From the first one on what is sent is bounded.
          link.send(formatSubscriberAck(since));
          break;
        case "messages": {
          const messages = messagesOf(frame);
          const cursor = textOf(frame.cursor);
          const known = Math.min(skip, messages.length);
          const bytes = new TextEncoder().encode(text).length;
          queue.push({ messages, start: since, known, cursor, bytes });
          waitingBytes += bytes;
          skip -= known;
          since = cursor;
          hasNews = true;
          break;
        }
        case "gap": {
          const { from } = frame;
          const to = textOf(frame.to);
          since = to;
          skip = 0;
          hasNews = true;
          queue.push(() => {
            subscription.cursor = to;
            tell("gap", { from, to });
          });
          break;
        }
        case "end":
          endTopic(frame.reason ?? null);
      }
      settle();
    },
    lost({ slug, code }) {
      if (slug === "slow-consumer") ackBytes = Math.max(MIN_ACK_BYTES, ackBytes / 2);
      if (hasEnded || code === 4404) return waitsUntilMs - Date.now();
      waitsUntilMs = 0;
      return Infinity;
    },
    gone(error) {
      queue.push(() =>
        end("failed", hasEnded ? new HubError("topic-not-live", "It has ended") : error),
      );
      settle();
    },
  };

  function endTopic(reason: string | null): void {
    hasEnded = true;
    user.isIdle = !hasNews;
    const isFinal = reason !== null && reason !== "abandoned";
    if (hasNews || isFinal) {
      waitsUntilMs = Date.now() + patienceMs;
      queue.push(() => tell("end", { reason }));
    }
    hasNews = false;
    if (!isFinal) return;
    queue.push(() => end("closed"));
    link.close();
  }

  /** Does what stands before the next message. */
  function settle(): void {
    for (let [next] = queue; typeof next === "function"; [next] = queue) {
      queue.shift();
      next();
    }
    wake();
  }

  function queueChange(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
    });
  }

  async function* read(): AsyncGenerator<Received, void> {
    try {
      while (face.state === "open") {
        const [batch] = queue;
        if (typeof batch !== "object") {
          await queueChange();
          continue;
        }
        const { messages, start, known, cursor, bytes } = batch;
        let n = 0;
        for (const message of messages) {
          // Closed meanwhile, or known.
          if (queue[0] !== batch || ++n <= known) continue;
          subscription.cursor = n < messages.length ? `${start}~${n}` : cursor;
          const received = { ...message, cursor: subscription.cursor };
          tell("message", received);
          yield received;
        }
        if (queue[0] !== batch) continue;
        queue.shift();
        waitingBytes -= bytes;
        takenBytes += bytes;
        if (takenBytes >= ackBytes) {
          takenBytes = 0;
          link.send(formatSubscriberAck(cursor));
        }
        settle();
      }
      await face.done;
    } finally {
      end("closed");
    }
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

  const close = async (): Promise<void> => end("closed");
  const listen = face.addEventListener.bind(face);
  const subscription = Object.assign(face, initial, {
    close,
    [Symbol.asyncDispose]: close,
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("It is read already");
      isRead = true;
      return read();
    },
    addEventListener(...args: Parameters<EventTarget["addEventListener"]>) {
      listen(...args);
      if (args[0] === "message") start();
    },
  });

  function start(): void {
    // What is thrown `done` rejects with.
    if (!isRead) pump().catch(() => {});
  }

  over.addEventListener("abort", () => {
    queue = [];
    waitingBytes = 0;
    wake();
  });
  const link = openLink(url, options, HEARTBEAT_MS, user, over);
  if (onMessage) start();
  return subscription;
}
