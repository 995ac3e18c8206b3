/**
 * A subscriber: the messages of one topic, each once and in order, handed over as fast as somebody takes them. Owns
 * where it goes on after a cut, how long a topic is waited for, and what the hub may send (PROTOCOL.md, 11.3). Knows
 * a link, never a socket. Invariant: all that happens reaches the caller in the order of the hub's frames.
 */
import { formatSubscriberAck } from "../core/client-frame.ts";
import { beginLife, ignore } from "./face.ts";
import { HubError } from "./hub-error.ts";
import { openLink, type LinkUser } from "./link.ts";
import { messagesOf } from "./read-frame.ts";
import type { Received, SubscribeOptions, Subscription } from "./types.ts";

/** What a URL may ask for (PROTOCOL.md, 3.1). */
const MAX_WAIT_SECONDS = 60;
/**
 * Bytes that are handed over between two acks: half of what the hub sends ahead at least. While more of them wait for
 * the caller nobody comes back to get more.
 */
const ACK_BYTES = 262_144;
/** The least, where the hub's bound turns out to be lower: so many are worth an ack (11.4). */
const MIN_ACK_BYTES = 32_768;

/** The messages of a frame, as they wait for the caller. */
interface Batch {
  readonly messages: readonly Omit<Received, "cursor">[];
  /** The place where it begins. */
  readonly start: string | undefined;
  /** That of its last message. */
  readonly last: string;
  readonly bytes: number;
}

/**
 * Subscribes to a topic: `wss://HOST/ws/sub/DOMAIN/TOPIC`. It connects, and comes back whenever it is cut off, until it
 * is closed. Throws a TypeError for a URL that cannot be, or that holds a credential.
 */
export function subscribe(url: string | URL, options: SubscribeOptions = {}): Subscription {
  const { onMessage, gap, waitSeconds = Infinity } = options;
  const patienceMs = waitSeconds * 1000 || 0;
  const { face, over, tell, changed, end } = beginLife(options);

  // A cursor within a frame, where the hub has none, is that of the frame's begin, with a number (10.4).
  let [since, known] = (options.since ?? "").split(/~(?=\d+$)/);
  /** How many messages behind the first place the caller has had in another life. */
  let skip = Number(known) || 0;
  const cursor: string | null = (skip && options.since) || null;

  /** What waits for the caller: messages, and what is to be done between them. */
  let queue: (Batch | (() => void))[] = [];
  let waitingBytes = 0;
  let takenBytes = 0;
  let ackBytes = ACK_BYTES;
  let isRead = false;
  /** Tells that the queue has changed: to the reader while it is empty, to the link while it is full. */
  let wake: () => void = ignore;

  /** Of this connection. */
  let isLive = false;
  let hasEnded = false;
  /** Whether something came since the last end. */
  let hasNews = true;
  let waitsUntilMs = 0;

  const user: LinkUser = {
    changed,
    ready: () => (waitingBytes > ACK_BYTES ? queueChange().then(user.ready) : null),
    parameters() {
      user.isIdle = isLive = hasEnded = false;
      waitsUntilMs ||= Date.now() + patienceMs;
      const seconds = Math.floor((waitsUntilMs - Date.now()) / 1000);
      return { since, gap, wait: seconds > 0 && Math.min(seconds, MAX_WAIT_SECONDS) };
    },
    receive(frame, text) {
      switch (frame.type) {
        case "open":
          since = frame.cursor.trim();
          subscription.cursor ??= since;
          isLive = true;
          // From the first one on what is sent is bounded.
          link.send(formatSubscriberAck(since));
          break;
        case "messages": {
          const messages = messagesOf(frame);
          const last = frame.cursor.trim();
          const bytes = new TextEncoder().encode(text).length;
          queue.push({ messages, start: since, last, bytes });
          waitingBytes += bytes;
          since = last;
          hasNews = true;
          break;
        }
        case "gap": {
          const to = frame.to.trim();
          since = to;
          hasNews = true;
          queue.push(() => {
            skip = 0;
            subscription.cursor = to;
            tell("gap", { from: frame.from, to });
          });
          break;
        }
        case "end": {
          const { reason = null } = frame;
          const isFinal = reason && reason !== "abandoned";
          hasEnded = true;
          user.isIdle = !hasNews;
          if (hasNews || isFinal) {
            waitsUntilMs = Date.now() + patienceMs;
            queue.push(() => tell("end", { reason }));
          }
          hasNews = false;
          if (isFinal) {
            queue.push(() => end("closed"));
            link.close();
          }
        }
      }
      settle();
    },
    lost({ code }) {
      if (code === 4408) ackBytes = Math.max(MIN_ACK_BYTES, ackBytes / 2);
      if (hasEnded || code === 4404) return waitsUntilMs - Date.now();
      if (isLive) waitsUntilMs = 0;
      return Infinity;
    },
    gone(error) {
      queue.push(() => end("failed", hasEnded ? new HubError("topic-not-live", "ended") : error));
      settle();
    },
  };

  /** Does what stands before the next message. */
  function settle(): void {
    for (;;) {
      const [next] = queue;
      if (typeof next !== "function") break;
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
        const { messages, start, last, bytes } = batch;
        let n = 0;
        for (const message of messages) {
          n += 1;
          // Closed meanwhile, or known.
          if (queue[0] !== batch || skip-- > 0) continue;
          subscription.cursor = n < messages.length ? `${start}~${n}` : last;
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
          link.send(formatSubscriberAck(last));
        }
        settle();
      }
      await face.done;
    } finally {
      end("closed");
    }
  }

  const close = async (): Promise<void> => end("closed");
  const listen = face.addEventListener.bind(face);
  const subscription = Object.assign(face, {
    cursor,
    close,
    [Symbol.asyncDispose]: close,
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("is read");
      isRead = true;
      return read();
    },
    addEventListener(...args: Parameters<EventTarget["addEventListener"]>) {
      listen(...args);
      // A loop that begins at once is the reader, and each listener that is added now hears all.
      if (args[0] === "message") Promise.resolve().then(pump).catch(ignore);
    },
  });

  /** Reads without a loop of the caller's. */
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

  over.addEventListener("abort", () => {
    queue = [];
    wake();
  });
  const link = openLink(url, options, user, over);
  if (onMessage) pump().catch(ignore);
  return subscription;
}
