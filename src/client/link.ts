/**
 * A connection that comes back: one socket after the other, with backoff, until its user ends it or the hub says
 * for good that it may not be. Owns credentials, backoff and what close codes mean; knows no topic, and nothing of
 * what the frames say. Invariant: one connection at a time, and no timer or listener once it is over.
 */
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { openConnection, type Connection } from "./connection.ts";
import { credentialName, renewalMs } from "./credential.ts";
import type { HubError } from "./hub-error.ts";
import type { Frame } from "./read-frame.ts";
import { watchReturns } from "./returns.ts";
import { parseSocketUrl, withParameters, type UrlParameters } from "./socket-url.ts";
import type { LinkOptions } from "./types.ts";

const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Tokens of a function that the hub refuses in a row. */
const MAX_REFUSED_TOKENS = 3;
/** Connections in a row that end with something that is no frame. */
const MAX_UNREADABLE = 5;

/** What a link is for. */
export interface LinkUser {
  /** The last connection brought nothing new, so that the backoff goes on. */
  isIdle?: boolean;
  /** What its next connection asks for. */
  parameters(): UrlParameters;
  /** Whether it should not connect before `resume`. */
  isHeld(): boolean;
  /** There is, or is not, a connection that the hub has let in; why not. */
  changed(isConnected: boolean, error: unknown): void;
  /** Takes a frame, and its text; throws where it cannot be read. */
  receive(frame: Frame, text: string): void;
  /** Says within which time it must come back, in milliseconds; not at all: 0 or less. */
  lost(error: HubError): number;
  /** It does not come back. */
  gone(error: unknown): void;
}

/** A connection that comes back. */
export interface Link {
  /** The socket that there is, or was last. */
  readonly socket: () => WebSocket | undefined;
  /** Sends a frame, if there is a connection. */
  readonly send: (text: string) => void;
  /** Its user is not held any more. */
  readonly resume: () => void;
  /** Ends it. */
  readonly close: () => void;
}

/** Makes one, until the signal is aborted; throws a TypeError for a URL that cannot be. */
export function openLink(
  url: string | URL,
  { key, token, WebSocket = globalThis.WebSocket }: LinkOptions,
  heartbeatMs: number,
  user: LinkUser,
  signal: AbortSignal,
): Link {
  const base = parseSocketUrl(url);
  let socket: WebSocket | undefined;
  let connection: Connection | undefined;
  let isAccepted = false;
  let isHeld = false;
  let isOver = signal.aborted;
  /** Ends the pause that there is, unless it must not be ended yet. */
  let goOn = (_isForced: boolean): void => {};

  async function run(): Promise<void> {
    let attempt = 0;
    let refused = 0;
    let unreadable = 0;
    while (!isOver) {
      isHeld = user.isHeld();
      if (isHeld) {
        await pause(Infinity, 0);
        continue;
      }
      let credential;
      try {
        credential = (typeof token === "function" ? await token() : token) ?? key;
      } catch (error) {
        // Whatever the caller's function throws.
        if (isOver) return;
        user.changed(false, error);
        await pause(backoffMs(attempt++), 0);
        continue;
      }
      if (isOver) return;
      const error = await connect(credential);
      if (isOver) return;
      const { code, slug, retryAfter = 0 } = error;
      const wasAccepted = isAccepted;
      connection = undefined;
      isAccepted = false;
      user.changed(false, error);
      const isRefused = code === 4401 || slug === "token-rejected";
      // One that has let it in, and has ended since, was not refused.
      refused = wasAccepted ? 0 : refused + Number(isRefused);
      unreadable = slug === "unreadable-frame" ? unreadable + 1 : 0;
      const withinMs = user.lost(error);
      const isFinal = isRefused
        ? typeof token !== "function" || refused === MAX_REFUSED_TOKENS
        : unreadable === MAX_UNREADABLE || /^4[5-9]/.test(`${code}`);
      if (isFinal || withinMs <= 0) return user.gone(error);
      // The hub is not at fault.
      if (code === null && slug === "away") continue;
      if (wasAccepted && unreadable === 0 && !user.isIdle) attempt = 0;
      const leastMs = retryAfter * 1000;
      await pause(Math.min(leastMs + backoffMs(attempt++), withinMs), leastMs);
    }
  }

  /** Opens a socket; resolves with its end. */
  function connect(credential: string | undefined): Promise<HubError> {
    const target = withParameters(base, { explain: 1, ...user.parameters() });
    const names = credential ? [credentialName(credential)] : [];
    socket = new WebSocket(target, [STREAM_PROTOCOL, ...names]);
    const opened = openConnection(socket, heartbeatMs, (frame, text) => {
      if (!isAccepted) {
        isAccepted = true;
        user.changed(true, null);
      }
      user.receive(frame, text);
    });
    connection = opened;
    const ms = typeof token === "function" && credential ? renewalMs(credential) : 0;
    const timer = ms ? setTimeout(() => opened.leave("away"), ms) : undefined;
    return opened.over.finally(() => clearTimeout(timer));
  }

  /** Waits, and at least for a time, whatever wakes it. */
  function pause(ms: number, leastMs: number): Promise<void> {
    const notBeforeMs = Date.now() + leastMs;
    return new Promise((resolve) => {
      const timer = ms < Infinity ? setTimeout(resolve, ms) : undefined;
      goOn = (isForced) => {
        if (!isForced && Date.now() < notBeforeMs) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function close(): void {
    isOver = true;
    isAccepted = false;
    connection?.leave("away");
    goOn(true);
  }

  signal.addEventListener("abort", close);
  watchReturns((isNetwork) => {
    if (!connection) goOn(false);
    else if (isNetwork) connection.leave("away");
    else if (isAccepted) connection.probe();
  }, signal);
  // When the caller has put up its listeners. What WebSocket throws at once it throws each time.
  Promise.resolve()
    .then(run)
    .catch((error: unknown) => user.gone(error));
  return {
    socket: () => socket,
    send(text) {
      if (isAccepted) socket?.send(text);
    },
    resume() {
      if (isHeld) goOn(true);
    },
    close,
  };
}

/** Full jitter: clients that were cut off together do not come back together. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
}
