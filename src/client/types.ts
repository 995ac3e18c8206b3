/**
 * The client library's public face: every type that a program which uses it can name, and nothing that runs. What
 * each option and event means is said here, in full, since this becomes the `.d.ts`.
 */

/** What a subscriber receives: a text, or the bytes of a binary message. */
export type Message = string | Uint8Array;

/** What a publisher can send: a text, or bytes. */
export type Publishable = string | ArrayBuffer | ArrayBufferView;

/** The one terminal state: `open` until nothing more will happen, then `closed` (as wanted) or `failed`. */
export type State = "open" | "closed" | "failed";

/** A message, with its place and its time. */
export interface Received {
  /** What was published. */
  readonly data: Message;
  /**
   * The place behind this message, to be given as `since` another time. Where a message came together with others
   * it ends in `~` and a number, which only this library can read.
   */
  readonly cursor: string;
  /** When it was published, by the hub's clock; `null` from a hub of version 0.1. */
  readonly at: Date | null;
}

/**
 * What subscribers and publishers have in common. Both come back by themselves whenever they are cut off, at a random
 * time within 250 ms, which doubles up to 30 s while nothing works. A network that is dead is noticed within 15 s. When
 * a page, a machine or its network is back they connect at once. What cannot be mended makes the state `failed`: a close
 * code from 4500, a refused credential, three connections in a row that send what is no frame.
 */
export interface LinkOptions {
  /** A key of the domain. It goes as a subprotocol, never in the URL, which logs keep. */
  key?: string | undefined;
  /**
   * A token (JWT), or a function that gets one. A value is final: when the hub refuses it, or it expires, the state
   * is `failed`. A function is asked once for each connection, and some 20 seconds before the token's `exp` there is a
   * new one, where that can be read and is not within 40 seconds. Where it throws or rejects it is asked again, with
   * backoff; each time a `state` event says so. Three tokens in a row that the hub refuses are final. While the
   * function has not answered nothing else is tried. Where a token is given the key is not used.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Ends everything at once; the state is `failed`, with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Another implementation than the global `WebSocket`, such as npm `ws`. */
  WebSocket?: typeof WebSocket | undefined;
}

/** What a subscriber may want. */
export interface SubscribeOptions extends LinkOptions {
  /**
   * Where to begin: a cursor that was kept, `earliest`, a duration (`30s`, `5m`, `2h`, up to `30d`), or `-N` for the
   * last N messages. Without it: with the next message.
   */
  since?: string | undefined;
  /** `close`: messages that the hub has no more are a failure, `history-gap`. `skip`, the default: a `gap` event. */
  gap?: "skip" | "close" | undefined;
  /**
   * Seconds for which a topic that is not live is waited for, each time, also after an end that is `abandoned`. The
   * time begins anew after a cut, since the hub was not there to ask. When it is over the state is `failed`, with
   * `topic-not-live`. `Infinity` is the default; 0 waits not at all.
   */
  waitSeconds?: number | undefined;
  /**
   * Is called with each message, and awaited, one after the other: a slow one slows the hub's sending. What it throws
   * or rejects with makes the subscription `failed`.
   */
  onMessage?: ((message: Received) => void | Promise<void>) | undefined;
}

/** What a publisher may want. */
export interface PublisherOptions extends LinkOptions {
  /**
   * Displace a publisher that is there, also an earlier connection of this one's that died unnoticed. Without it
   * the publisher comes back, with backoff, until there is room. `false` is the default.
   */
  takeover?: boolean | undefined;
  /** Seconds, 1 to 300: without a sign of life for three times as long others may take its place. 10 by default. */
  heartbeatSeconds?: number | undefined;
  /** Keeps what is not acknowledged, for a process that is killed. */
  outbox?: Outbox | undefined;
  /** How many publishes may be under way, 1 to 1,000 (the default); those beyond wait. */
  maxPending?: number | undefined;
  /** Bytes that may be under way, 16 MiB by default. A single publish may have more. */
  maxPendingBytes?: number | undefined;
}

/** A store of the caller's. Where one of the two throws or rejects the publisher is `failed`, with that. */
export interface Outbox {
  /** Is called once, before the first connection: what the last `save` got, or `[]`. It is published first. */
  load(): readonly Pending[] | Promise<readonly Pending[]>;
  /**
   * Keeps all that is not acknowledged, in place of what was kept before. Calls never overlap. A publish goes to the
   * hub only after a `save` that holds it is done; what was acknowledged is missing in the next.
   */
  save(pending: readonly Pending[]): void | Promise<void>;
}

/** A publish that is under way, as JSON. */
export interface Pending {
  /** By which the hub knows it when it comes again. */
  readonly id: string;
  readonly messages: readonly (string | { readonly base64: string })[];
  /** It is a `finish`. */
  readonly finish?: true;
}

/** What `state` events tell. */
export interface StateChange {
  readonly state: State;
  /** Whether there is a connection that the hub has accepted. */
  readonly connected: boolean;
  /** Why the connection is gone, the token function's failure, or what a publish out of the outbox met; else `null`. */
  readonly error: unknown;
}

// Their names are not the same for browsers, Node and Workers.
type Listener = Parameters<EventTarget["addEventListener"]>[1];
type ListenerOptions = Parameters<EventTarget["addEventListener"]>[2];

/** The events of both, by name; what each tells is in its `detail`. */
export interface LinkEvents {
  state: CustomEvent<StateChange>;
}

/** The events of a subscription, in the order of the messages. */
export interface SubscriptionEvents extends LinkEvents {
  /** A message is handed over. A listener alone makes the messages flow; beside a loop it hears what the loop gets. */
  message: CustomEvent<Received>;
  /** Messages after `from`, up to and including `to`, are gone. */
  gap: CustomEvent<{ readonly from: string; readonly to: string }>;
  /** The topic has ended: `finished`, `abandoned`, `deleted`, another word of a later hub, or `null`: not said. */
  end: CustomEvent<{ readonly reason: string | null }>;
}

/**
 * Messages of one topic, each once, in order, over all reconnections. They are taken by one `for await` loop, or by
 * `onMessage`, or by listeners of `message`. Until somebody takes them the hub is held, and memory stays bounded:
 * about 1.5 MiB. The loop ends when the topic was finished or deleted, or by `close()`; it throws what makes the
 * state `failed`. A loop that is left closes the subscription. A second loop throws a TypeError.
 */
export interface Subscription extends AsyncIterable<Received>, AsyncDisposable, EventTarget {
  /** Terminal only when all that was received is handed over. */
  readonly state: State;
  readonly connected: boolean;
  /**
   * The place behind the last message that was handed over, to be kept and given as `since` another time. Before the
   * first one: where the messages begin. `null` before the first connection.
   */
  readonly cursor: string | null;
  /** Resolves when closed, rejects when failed. Nobody needs to look at it. */
  readonly done: Promise<void>;
  /**
   * Ends it at once: what was not handed over is dropped, and the loop ends. Nothing of it keeps a process alive, but for
   * a socket whose network is dead: Node, Deno and Bun hold that until TCP gives up.
   */
  close(): void;
  addEventListener<Name extends keyof SubscriptionEvents>(
    name: Name,
    listener: ((event: SubscriptionEvents[Name]) => void) | null,
    options?: ListenerOptions,
  ): void;
  addEventListener(name: string, listener: Listener, options?: ListenerOptions): void;
}

/**
 * Publishes to one topic: each message once, in the order of the calls, over all reconnections. What is under way
 * when the state becomes `failed` rejects with the same error.
 */
export interface Publisher extends AsyncDisposable, EventTarget {
  readonly state: State;
  readonly connected: boolean;
  /** Resolves when closed, rejects when failed. Nobody needs to look at it. */
  readonly done: Promise<void>;
  /**
   * Publishes one message, or 1 to 1,000 that stay together. Resolves when they are in the topic's log, with the last
   * one's place. Rejects with the hub's problem, a HubError: of the messages none is published then. Where as much is
   * under way as may be it waits for its turn; until then bytes must not be changed.
   */
  publish(message: Publishable | readonly Publishable[]): Promise<{ cursor: string }>;
  /**
   * Says that nothing follows, behind some last messages or none: the topic ends as `finished`, and the publisher is
   * `closed`. In a shared domain it rejects (`topic-shared`), and the publisher stays open.
   */
  finish(message?: Publishable | readonly Publishable[]): Promise<{ cursor: string }>;
  /**
   * Takes nothing more; resolves when all that is under way is acknowledged and the socket is closed. What a
   * subscription's `close` says of a network that is dead holds here, too.
   */
  close(): Promise<void>;
  addEventListener<Name extends keyof LinkEvents>(
    name: Name,
    listener: ((event: LinkEvents[Name]) => void) | null,
    options?: ListenerOptions,
  ): void;
  addEventListener(name: string, listener: Listener, options?: ListenerOptions): void;
}
