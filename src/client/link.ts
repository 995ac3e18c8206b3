/**
 * A connection that comes back: one socket after the other, with backoff, until its user ends it or the hub says
 * for good that it may not be. Owns credentials, backoff and what close codes mean; knows no topic, and nothing of
 * what the frames say. Invariant: one connection at a time, and no timer or listener once it is over.
 */
import type { HubFrame } from "../core/hub-frame.ts";
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { Connection } from "./connection.ts";
import { credentialName, renewalMs } from "./credential.ts";
import type { HubError } from "./hub-error.ts";
import { watchReturns } from "./returns.ts";
import { parseSocketUrl, withParameters, type UrlParameters } from "./socket-url.ts";
import type { LinkOptions } from "./types.ts";

const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Tokens of a function that the hub refuses in a row. */
const MAX_REFUSED_TOKENS = 3;
/** Connections in a row that end with something that is no frame. */
const MAX_UNREADABLE = 5;
/** Closes that mean: later. Where nobody says when it is after a second. */
const BUSY_CODES: readonly (number | null)[] = [4429, 4453];

/** What becomes of a link that has lost its connection, as far as its user knows. */
export interface Verdict {
  /** Why it does not come back. */
  readonly error?: HubError | undefined;
  /** The connection brought nothing new, so that the backoff goes on. */
  readonly isIdle?: boolean;
  /** It comes back within this time, whatever the backoff says. */
  readonly withinMs?: number | undefined;
}

/** What a link is for. */
export interface LinkUser {
  /** What its next connection asks for. */
  parameters(): UrlParameters;
  /** Whether it should not connect before `resume`. */
  isHeld(): boolean;
  /** The hub has let the connection in. */
  accepted(): void;
  receive(frame: HubFrame, text: string): void;
  lost(error: HubError): Verdict;
  /** Something happened that people may want to know. */
  report(error: unknown): void;
  /** It does not come back. */
  gone(error: unknown): void;
}

/** A connection that comes back, until the signal is aborted. */
export class Link {
  readonly #url: URL;
  readonly #options: LinkOptions;
  readonly #heartbeatMs: number;
  readonly #user: LinkUser;
  readonly #signal: AbortSignal;
  #connection: Connection | null = null;
  #isOver = false;
  #isHeld = false;
  #goOn: (isForced: boolean) => void = () => {};
  #closed: Promise<void> = Promise.resolve();

  /** Throws a TypeError for a URL that cannot be. Connects when the caller's work is done. */
  constructor(
    url: string | URL,
    options: LinkOptions,
    heartbeatMs: number,
    user: LinkUser,
    signal: AbortSignal,
  ) {
    this.#url = parseSocketUrl(url);
    this.#options = options;
    this.#heartbeatMs = heartbeatMs;
    this.#user = user;
    this.#signal = signal;
  }

  /** Connects. */
  start(): void {
    const signal = this.#signal;
    if (signal.aborted) return;
    watchReturns((isNetwork) => this.#wake(isNetwork), signal);
    signal.addEventListener("abort", () => this.close());
    // What WebSocket throws at once (a URL that the page may not open) is thrown each time.
    this.#run().catch((error: unknown) => this.#user.gone(error));
  }

  /** Whether the hub has let it in. */
  get isConnected(): boolean {
    return this.#connection?.isAccepted ?? false;
  }

  /** Whether a frame can be sent, and would not lie in memory for long. */
  get hasRoom(): boolean {
    return this.isConnected && this.#connection?.hasRoom === true;
  }

  /** Sends a frame, if there is a connection. */
  send(text: string): void {
    if (this.isConnected) this.#connection?.send(text);
  }

  /** Its user is not held any more. */
  resume(): void {
    if (this.#isHeld) this.#goOn(true);
  }

  /** Ends it. */
  close(): void {
    this.#isOver = true;
    this.#connection?.end(1000);
    this.#closed = this.#connection?.closed() ?? this.#closed;
    this.#connection = null;
    this.#goOn(true);
  }

  /** Resolves when its last socket is closed, once it is over. */
  closed(): Promise<void> {
    return this.#closed;
  }

  async #run(): Promise<void> {
    const user = this.#user;
    let attempt = 0;
    let refused = 0;
    let unreadable = 0;
    while (!this.#isOver) {
      this.#isHeld = user.isHeld();
      if (this.#isHeld) {
        await this.#pause(null, 0);
        continue;
      }
      const credential = await this.#credential();
      if (this.#isOver) return;
      if (credential === null) {
        await this.#pause(backoffMs(attempt++), 0);
        continue;
      }
      const connection = this.#connect(credential);
      const { error, isOurs, isUnreadable } = await connection.over;
      if (this.#isOver) return;
      this.#connection = null;
      const { isAccepted } = connection;
      const isRefused = error.code === 4401 || error.slug === "token-rejected";
      if (isAccepted) refused = 0;
      if (isRefused) refused += 1;
      unreadable = isUnreadable ? unreadable + 1 : 0;
      const verdict = user.lost(error);
      const isFinal = isRefused
        ? typeof this.#options.token !== "function" || refused >= MAX_REFUSED_TOKENS
        : unreadable >= MAX_UNREADABLE || isForGood(error.code);
      if (isFinal || verdict.error) return user.gone(verdict.error ?? error);
      user.report(error);
      if (isOurs) continue;
      if (isAccepted && !isUnreadable && verdict.isIdle !== true) attempt = 0;
      const leastMs = 1000 * (error.retryAfter ?? (BUSY_CODES.includes(error.code) ? 1 : 0));
      const ms = Math.min(leastMs + backoffMs(attempt++), verdict.withinMs ?? Infinity);
      await this.#pause(ms, leastMs);
    }
  }

  /** What is presented, as it is; empty: nothing. `null`: the function failed. */
  async #credential(): Promise<string | null> {
    const { key, token } = this.#options;
    try {
      return (typeof token === "function" ? await token() : token) ?? key ?? "";
    } catch (error) {
      // Whatever the caller's function throws.
      if (!this.#isOver) this.#user.report(error);
      return null;
    }
  }

  #connect(credential: string): Connection {
    const { WebSocket = globalThis.WebSocket, token } = this.#options;
    const user = this.#user;
    const url = withParameters(this.#url, { explain: 1, ...user.parameters() });
    const names = credential === "" ? [] : [credentialName(credential)];
    const connection = new Connection(
      new WebSocket(url, [STREAM_PROTOCOL, ...names]),
      this.#heartbeatMs,
      (frame, text) => user.receive(frame, text),
      () => {
        user.report(null);
        user.accepted();
      },
    );
    this.#connection = connection;
    const ms = typeof token === "function" ? renewalMs(credential) : null;
    if (ms !== null) {
      const timer = setTimeout(() => connection.leave(), ms);
      void connection.over.then(() => clearTimeout(timer));
    }
    return connection;
  }

  /** Waits, for ever if need be, and at least for a time, whatever wakes it. */
  #pause(ms: number | null, leastMs: number): Promise<void> {
    const notBeforeMs = Date.now() + leastMs;
    return new Promise((resolve) => {
      const timer = ms === null ? undefined : setTimeout(resolve, ms);
      this.#goOn = (isForced) => {
        if (!isForced && Date.now() < notBeforeMs) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #wake(isNetwork: boolean): void {
    if (this.#connection === null) this.#goOn(false);
    else if (isNetwork) this.#connection.leave();
    else this.#connection.probe();
  }
}

/** Full jitter: clients that were cut off together do not come back together. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
}

/** 8.1: the second half of an application's codes. */
function isForGood(code: number | null): boolean {
  return code !== null && code >= 4500 && code < 5000;
}
