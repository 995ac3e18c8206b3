/**
 * A publisher: what is published, each once and in the order of the calls. Owns what is not acknowledged, what may be
 * sent when, and what each answer means (PROTOCOL.md, 10.7 to 10.11, 10.14). Knows a link, never a socket.
 * Invariant: of what is pending a part from the front is on the wire, and nothing overtakes.
 */
import { closeOf } from "./close-of.ts";
import { beginLife } from "./face.ts";
import type { HubError } from "./hub-error.ts";
import { HEARTBEAT_MS, openLink } from "./link.ts";
import { copyMessages, formatFrame, listOf, measure, type Publication } from "./publishing.ts";
import { problemOf } from "./read-frame.ts";
import type { Pending, Publishable, Publisher, PublisherOptions } from "./types.ts";

const MAX_PENDING = 1000;
const MAX_PENDING_BYTES = 16_777_216;
/** The socket is given nothing more while it holds as much. */
const MAX_BUFFERED_BYTES = 4_194_304;
/** Where the hub does not say when to come again. */
const PAUSE_SECONDS = 1;

/** Whoever waits for an answer. */
interface Caller {
  resolve(answer: { readonly cursor: string }): void;
  reject(error: unknown): void;
}

/** A call for which there is no room. */
interface Call extends Caller {
  readonly publishables: readonly Publishable[];
  readonly finish: boolean;
}

/** A publish that may be sent, and is not answered. */
interface Entry extends Caller {
  readonly pending: Pending;
  readonly bytes: number;
  /** Whether the caller's outbox holds it. */
  isSaved: boolean;
  /** The publish that it follows, as the hub was told. */
  after?: string | undefined;
}

/**
 * Opens a publisher of a topic: `wss://HOST/ws/pub/DOMAIN/TOPIC`. It connects, and comes back whenever it is cut off,
 * until it is closed. Throws a TypeError for a URL that cannot be, or that holds a credential, and a RangeError for
 * numbers below 1.
 */
export function openPublisher(url: string | URL, options: PublisherOptions = {}): Publisher {
  const { takeover, heartbeatSeconds = HEARTBEAT_MS / 1000, outbox } = options;
  const { maxPending = MAX_PENDING, maxPendingBytes = MAX_PENDING_BYTES } = options;
  // One that is no number would have it wait for ever, or connect again and again.
  for (const number of [heartbeatSeconds, maxPending, maxPendingBytes]) {
    if (!(number >= 1)) throw new RangeError(`${number} is less than 1`);
  }
  const { face, over, changed, end } = beginLife(options);
  // Pages without TLS have no `randomUUID`.
  const name = crypto.getRandomValues(new Uint32Array(4)).join(".");
  let count = 0;
  const calls: Call[] = [];
  /** What is not answered, in order; those before `sent` are on the wire. */
  const entries: Entry[] = [];
  let bytes = 0;
  let sent = 0;
  /** How many may be: few after the hub has refused some, more with each ack. */
  let allowed = MAX_PENDING;
  /** What was acknowledged last. */
  let acknowledged: string | undefined;
  let pause: ReturnType<typeof setTimeout> | undefined;
  let isClosing = false;
  let isFinishing = false;
  let isLoaded = false;
  let isSaving = false;
  let isSaveDue = false;

  const fail = (error: unknown): void => end("failed", error);
  const { promise: loaded, resolve: setLoaded } = Promise.withResolvers<void>();
  const link = openLink(
    url,
    options,
    {
      ready: () => loaded,
      parameters: () => ({ heartbeat: heartbeatSeconds, takeover: takeover ? 1 : 0 }),
      changed(isConnected, error) {
        // Before anybody who is told of it publishes.
        sent = 0;
        changed(isConnected, error);
        send();
      },
      receive(frame) {
        if (frame.type === "ack") acknowledge(frame.id ?? "", frame.cursor.trim());
        if (frame.type === "error") refuse(frame.id, problemOf(frame));
      },
      lost(error) {
        const { code } = error;
        // Alone on the wire it is what was too large, for the runtime or for a proxy.
        if (code === 1009 && allowed === 1) drop(0, error);
        // It went on in vain for too long (14.2), or one of many was too large.
        if (code === 4429 || code === 1009) allowed = 1;
        // A topic that is not live is no obstacle to a publisher: the URL is a subscriber's.
        return code === 4404 ? 0 : Infinity;
      },
      gone: fail,
    },
    over,
    Math.min(heartbeatSeconds * 1000, HEARTBEAT_MS),
  );

  function call(publication: Publication, finish: boolean): Promise<{ cursor: string }> {
    return new Promise((resolve, reject) => {
      if (face.state !== "open" || isClosing || isFinishing) {
        throw new TypeError("The publisher is closed");
      }
      isFinishing = finish;
      calls.push({ publishables: listOf(publication), finish, resolve, reject });
      fill();
    });
  }

  async function load(): Promise<void> {
    for (const pending of (await outbox?.load()) ?? []) {
      isFinishing = pending.finish === true;
      // Nobody waits for it any more: what becomes of it is told by an event.
      add(pending, { resolve() {}, reject: (error) => changed(face.connected, error) });
    }
    for (const entry of entries) entry.isSaved = true;
    isLoaded = true;
    fill();
  }

  /** Takes calls in as long as there is room. */
  function fill(): void {
    if (!isLoaded) return;
    while (entries.length < Math.min(maxPending, MAX_PENDING) && bytes < maxPendingBytes) {
      const next = calls.shift();
      if (next === undefined) break;
      const { publishables, finish, ...caller } = next;
      try {
        const messages = copyMessages(publishables);
        if (!finish && messages.length === 0) throw new RangeError("There is no message");
        add({ id: `${name}-${count++}`, messages, ...(finish && { finish }) }, caller);
      } catch (error) {
        // RangeError: no frame holds it. TypeError: it is neither text nor bytes.
        if (finish) isFinishing = false;
        caller.reject(error);
      }
    }
    save().catch(fail);
    send();
    endIfDone();
  }

  function add(pending: Pending, caller: Caller): void {
    const size = measure(pending.messages);
    entries.push({ ...caller, pending, bytes: size, isSaved: outbox === undefined });
    bytes += size;
  }

  function remove(index: number): void {
    bytes -= entries.splice(index, 1)[0]?.bytes ?? 0;
    if (index < sent) sent -= 1;
  }

  /** Has the caller's store hold what is pending: one save at a time. */
  async function save(): Promise<void> {
    isSaveDue = true;
    if (outbox === undefined || !isLoaded || isSaving) return;
    isSaving = true;
    while (isSaveDue && face.state === "open") {
      isSaveDue = false;
      const saved = [...entries];
      await outbox.save(saved.map(({ pending }) => pending));
      for (const entry of saved) entry.isSaved = true;
      send();
    }
    isSaving = false;
    endIfDone();
  }

  function send(): void {
    const socket = link.socket();
    if (pause !== undefined) return;
    while (face.connected && sent < allowed) {
      const entry = entries[sent];
      if (!entry?.isSaved || (socket?.bufferedAmount ?? 0) > MAX_BUFFERED_BYTES) return;
      entry.after = entries[sent - 1]?.pending.id ?? acknowledged;
      sent += 1;
      link.send(formatFrame(entry.pending, entry.after));
    }
  }

  function acknowledge(id: string, cursor: string): void {
    const index = entries.findIndex(({ pending }) => pending.id === id);
    const entry = entries[index];
    if (entry === undefined) return;
    remove(index);
    acknowledged = id;
    allowed += 1;
    entry.resolve({ cursor });
    fill();
  }

  function refuse(id: string | null, error: HubError): void {
    const index = entries.findIndex(({ pending }) => pending.id === id);
    const entry = entries[index];
    // Of what is to be sent again nothing counts that was said before.
    if (entry === undefined || index >= sent) return;
    const { slug, status, retryAfter = PAUSE_SECONDS } = error;
    if (slug === "out-of-order" && entry.after !== undefined) {
      // What it named was refused, or the hub has forgotten it: then it comes without.
      if (entry.after === acknowledged) acknowledged = undefined;
      sent = index;
      if (index === 0) send();
    } else if (slug === "out-of-order" || status === 429 || (status ?? 0) >= 500) {
      sent = index;
      allowed = 1;
      clearTimeout(pause);
      pause = setTimeout(() => {
        pause = undefined;
        send();
      }, retryAfter * 1000);
    } else {
      drop(index, error);
    }
  }

  /** Has one not be published, for good. */
  function drop(index: number, error: HubError): void {
    const entry = entries[index];
    remove(index);
    if (entry?.pending.finish) isFinishing = false;
    entry?.reject(error);
    fill();
  }

  function endIfDone(): void {
    const isDone = isLoaded && !isSaving && entries.length + calls.length === 0;
    if (isDone && (isClosing || isFinishing)) end("closed");
  }

  async function close(): Promise<void> {
    isClosing = true;
    endIfDone();
    await face.done;
    await closeOf(link.socket());
  }

  over.addEventListener("abort", () => clearTimeout(pause));
  face.done.catch((error: unknown) => {
    for (const caller of [...entries, ...calls]) caller.reject(error);
  });
  load().then(setLoaded, fail);
  return Object.assign(face, {
    publish: (publication: Publication) => call(publication, false),
    finish: (publication: Publication = []) => call(publication, true),
    close,
    [Symbol.asyncDispose]: close,
  });
}
