/**
 * A connection that comes back: one socket after the other, with backoff, until its user ends it or the hub says
 * for good that it may not be. Owns credentials, backoff and what close codes mean; knows no topic, and nothing of
 * what the frames say. Invariant: one connection at a time, and no timer or listener once it is over.
 */
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { isLeft, openConnection, type Connection } from "./connection.ts";
import { credentialNames, renewalMs } from "./credential.ts";
import type { HubError } from "./hub-error.ts";
import type { Frame } from "./read-frame.ts";
import { watchReturns } from "./returns.ts";
import { parseSocketUrl, setParameters, type UrlParameters } from "./socket-url.ts";
import type { LinkOptions } from "./types.ts";

const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Tokens of a function that the hub refuses in a row. */
const MAX_REFUSED_TOKENS = 3;
/** Connections in a row that end with something that is no frame. */
const MAX_UNREADABLE = 5;
/** Seconds, where the hub is busy and does not say for how long. */
const BUSY_SECONDS = 1;

/** What a link is for. */
export interface LinkUser {
  /** The last connection brought nothing new, so that the backoff goes on. */
  isIdle?: boolean;
  /** What its next connection asks for. */
  parameters(): UrlParameters;
  /** Whether it should not connect before `resume`. */
  isHeld?(): boolean;
  /** There is, or is not, a connection that the hub has let in; why not. */
  changed(isConnected: boolean, error: unknown): void;
  receive(frame: Frame, text: string): void;
  /** Says within which time it must come back, in milliseconds; not at all: 0 or less. */
  lost(error: HubError): number;
  /** It does not come back. */
  gone(error: unknown): void;
}

/** A connection that comes back. */
export interface Link {
  /** Connects. */
  start(): void;
  /** Sends a frame, if there is a connection. */
  send(text: string): void;
  /** Its user is not held any more. */
  resume(): void;
  /** Ends it. */
  close(): void;
  /** The socket that there is, or was last. */
  socket(): WebSocket | null;
}

/** Makes one, until the signal is aborted; throws a TypeError for a URL that cannot be. */
export function makeLink(
  url: string | URL,
  { key, token, WebSocket = globalThis.WebSocket }: LinkOptions,
  heartbeatMs: number,
  user: LinkUser,
  signal: AbortSignal,
): Link {
  const base = parseSocketUrl(url);
  let connection: Connection | null = null;
  let socket: WebSocket | null = null;
  let isAccepted = false;
  let isHeld = false;
  let isOver = false;
  let goOn: (isForced: boolean) => void = () => {};

  async function run(): Promise<void> {
    let attempt = 0;
    let refused = 0;
    let unreadable = 0;
    while (!isOver) {
      isHeld = user.isHeld?.() ?? false;
      if (isHeld) {
        await pause(Infinity, 0);
        continue;
      }
      const credential = await getCredential();
      if (isOver) return;
      if (credential === null) {
        await pause(backoffMs(attempt++), 0);
        continue;
      }
      const error = await connect(credential);
      if (isOver) return;
      const wasAccepted = isAccepted;
      isAccepted = false;
      connection = null;
      const isRefused = error.code === 4401 || error.slug === "token-rejected";
      // One that has let it in, and has ended since, was not refused.
      refused = wasAccepted ? 0 : refused + Number(isRefused);
      unreadable = isLeft(error, "unreadable-frame") ? unreadable + 1 : 0;
      const withinMs = user.lost(error);
      const isFinal = isRefused
        ? typeof token !== "function" || refused === MAX_REFUSED_TOKENS
        : unreadable === MAX_UNREADABLE || /^4[5-9]/.test(`${error.code}`);
      user.changed(false, error);
      if (isFinal || withinMs <= 0) return user.gone(error);
      if (isLeft(error, "away")) continue;
      if (wasAccepted && unreadable === 0 && user.isIdle !== true) attempt = 0;
      const isBusy = error.code === 4429 || error.code === 4453;
      const leastMs = 1000 * (error.retryAfter ?? (isBusy ? BUSY_SECONDS : 0));
      await pause(Math.min(leastMs + backoffMs(attempt++), withinMs), leastMs);
    }
  }

  /** What is presented, as it is; empty: nothing. `null`: the function failed. */
  async function getCredential(): Promise<string | null> {
    try {
      return (typeof token === "function" ? await token() : token) ?? key ?? "";
    } catch (error) {
      // Whatever the caller's function throws.
      if (!isOver) user.changed(false, error);
      return null;
    }
  }

  /** Opens a socket; resolves with its end. */
  function connect(credential: string): Promise<HubError> {
    const target = new URL(base);
    setParameters(target, { explain: 1, ...user.parameters() });
    socket = new WebSocket(target, [STREAM_PROTOCOL, ...credentialNames(credential)]);
    const opened = openConnection(socket, heartbeatMs, (frame, text) => {
      if (!isAccepted) {
        isAccepted = true;
        user.changed(true, null);
      }
      user.receive(frame, text);
    });
    connection = opened;
    const ms = typeof token === "function" ? renewalMs(credential) : NaN;
    const timer = ms > 0 ? setTimeout(() => opened.leave("away"), ms) : undefined;
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

  return {
    start() {
      if (signal.aborted) return;
      signal.addEventListener("abort", close);
      watchReturns((isNetwork) => {
        if (connection === null) goOn(false);
        else if (isNetwork) connection.leave("away");
        else if (isAccepted) connection.probe();
      }, signal);
      // When the caller has put up its listeners. What WebSocket throws at once it throws each time.
      Promise.resolve().then(run).catch(user.gone);
    },
    send(text) {
      if (isAccepted) socket?.send(text);
    },
    resume() {
      if (isHeld) goOn(true);
    },
    close,
    socket: () => socket,
  };
}

/** Full jitter: clients that were cut off together do not come back together. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
}
