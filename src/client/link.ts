/**
 * A connection that comes back: one socket after the other, with backoff, until its user ends it or the hub says
 * for good that it may not be. Owns credentials, heartbeats, backoff and what close codes mean; knows no topic, and
 * nothing of what frames say. Invariant: one socket, one timer; a network that is dead is noticed within a bounded
 * time, and nothing is heard of a socket that was left.
 */
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE } from "../core/heartbeat.ts";
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { ignore } from "./face.ts";
import { credentialName, renewalTime } from "./credential.ts";
import { HubError } from "./hub-error.ts";
import { problemOf, type Frame } from "./read-frame.ts";
import { watchReturns } from "./returns.ts";
import type { LinkOptions } from "./types.ts";

/** Ends of parameters' names that the hub refuses: logs keep URLs (PROTOCOL.md, 3.1). */
const CREDENTIAL = /(token|jwt|api_?key|authorization)=/i;
/**
 * Half of it is for the answer: a network that is dead is noticed after 15 s at most. A handshake that takes longer has
 * failed.
 */
export const HEARTBEAT_MS = 10_000;
/** A timer that fires so much later was held up by a sleep. */
const LATE_MS = 5_000;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Connections in a row that fail for a new token of a function's, or for something that is no frame. */
const MAX_STRIKES = 3;

/** What no Close frame says (RFC 6455, section 7.4.1), so that the reason is the client's own. */
const LOST_CODE = 1006;

/** How a connection ended. */
type Loss = HubError & { readonly code: number };

/** What a link is for. */
export interface LinkUser {
  /** The last connection brought nothing new, so that the backoff goes on. */
  isIdle?: boolean;
  /** Resolves when there is need of the next connection. */
  readonly ready: () => Promise<unknown> | null;
  /** What its URL asks for, but for what is nothing. */
  readonly parameters: () => Readonly<Record<string, string | number | false | undefined>>;
  /** There is, or is not, a connection that the hub has let in; why not. */
  readonly changed: (isConnected: boolean, error: unknown) => void;
  /** Takes a frame, and its text; throws where it cannot be read. */
  readonly receive: (frame: Frame, text: string) => void;
  /** Says within which time it must come back, in milliseconds; not at all: 0 or less. */
  readonly lost: (error: Loss) => number;
  /** It does not come back. */
  readonly gone: (error: unknown) => void;
}

/** A connection that comes back. */
export interface Link {
  /** The socket that there is, or was last. */
  readonly socket: () => WebSocket | undefined;
  /** Sends a frame, if there is a connection. */
  readonly send: (text: string) => void;
  /** Ends it. */
  readonly close: () => void;
}

/** Opens one, until the signal is aborted; throws a TypeError for a URL that cannot be, or that holds a credential. */
export function openLink(
  url: string | URL,
  { key = "", token = key, WebSocket = globalThis.WebSocket }: LinkOptions,
  user: LinkUser,
  signal: AbortSignal,
  heartbeatMs: number = HEARTBEAT_MS,
): Link {
  const base = new URL(url);
  base.protocol = base.protocol.replace("http", "ws");
  if (CREDENTIAL.test(base.search)) throw new TypeError("key, token are options");
  const isAsked = typeof token === "function";
  const answerMs = heartbeatMs / 2;
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout>;
  let isOver = signal.aborted;
  /** The hub has let in the socket that there is. */
  let isAccepted = false;
  /** When the pause that there is may be ended. */
  let notBeforeMs = Infinity;
  let heardAtMs = 0;
  let renewAtMs = NaN;
  /** Ends the pause, or the connection, for a reason. */
  let goOn: (reason: string) => void = ignore;

  /** How many connections in a row have failed. */
  let attempt = 0;

  async function run(): Promise<void> {
    let strikes = 0;
    for (;;) {
      await user.ready();
      if (isOver) return;
      let credential;
      try {
        credential = isAsked ? await token() : token;
      } catch (error) {
        // Whatever the caller's function throws.
        if (isOver) return;
        user.changed(false, error);
        await pause(0, Infinity);
        continue;
      }
      if (isOver) return;
      const error = await connect(credential);
      const wasAccepted = isAccepted;
      isAccepted = false;
      if (isOver) return;
      user.changed(false, error);
      const { code, slug } = error;
      const isRefused = code === 4401 || slug === "token-rejected";
      // A token that has opened a connection, and has ended since, was not refused.
      const isStrike = isRefused ? !wasAccepted : slug === "bad-frame";
      strikes = isStrike ? strikes + 1 : 0;
      const withinMs = user.lost(error);
      const isFinal = isRefused ? !isAsked : code >= 4500;
      if (isFinal || strikes === MAX_STRIKES || withinMs <= 0) return user.gone(error);
      // The hub is not at fault.
      if (code === LOST_CODE && slug === "away") continue;
      if (wasAccepted && !strikes && !user.isIdle) attempt = 0;
      await pause((error.retryAfter ?? 0) * 1000, withinMs);
    }
  }

  /** Opens a socket; resolves with its end. */
  function connect(credential: string): Promise<Loss> {
    const target = new URL(base);
    for (const [name, value] of Object.entries({ explain: 1, ...user.parameters() })) {
      if (value) target.searchParams.set(name, `${value}`);
    }
    const opened = new WebSocket(target, [
      STREAM_PROTOCOL,
      ...(credential ? [credentialName(credential)] : []),
    ]);
    socket = opened;
    renewAtMs = isAsked ? renewalTime(credential) : NaN;
    return new Promise((resolve) => {
      let refusal: HubError | undefined;
      function end(slug: string, code: number = LOST_CODE): void {
        goOn = ignore;
        clearTimeout(timer);
        // A dead one would not say that it is closed for long.
        opened.close();
        // What the hub told before is the reason only if it says so.
        const error = refusal?.slug === slug ? refusal : new HubError(slug, `code ${code}`);
        resolve(Object.assign(error, { code }));
      }
      // Workers know no `onmessage`. What is left stays listened to: to some an error that nobody hears is worse.
      function on<Name extends keyof WebSocketEventMap>(
        name: Name,
        hear: (event: Partial<WebSocketEventMap[Name]>) => void,
      ): void {
        opened.addEventListener(name, (event) => goOn === end && hear(event));
      }
      goOn = end;
      on("open", () => beat(answerMs));
      const lost = ({ code, reason }: Partial<CloseEvent>): void =>
        end(reason || "connection-lost", code);
      on("close", lost);
      on("error", lost);
      on("message", ({ data }) => {
        heardAtMs = Date.now();
        try {
          const frame: Frame = JSON.parse(data === HEARTBEAT_RESPONSE ? "{}" : data);
          if (frame.type === "error" && frame.id === null) refusal = problemOf(frame);
          else {
            if (!isAccepted) {
              isAccepted = true;
              user.changed(true, null);
            }
            user.receive(frame, data);
          }
        } catch {
          // SyntaxError, or what readers of frames throw: it is none.
          end("bad-frame");
        }
      });
      arm(HEARTBEAT_MS, () => end("no-answer"));
    });
  }

  /** Of two halves of the interval the first is for the answer. */
  function beat(withinMs: number): void {
    const sinceMs = Date.now();
    socket?.send(HEARTBEAT_REQUEST);
    arm(withinMs, () => {
      if (heardAtMs < sinceMs) goOn("no-answer");
      else arm(answerMs, () => (Date.now() > renewAtMs ? goOn("away") : beat(answerMs)));
    });
  }

  /**
   * Waits: at least for a time, whatever wakes it, and not for longer than another. What comes on top is at random:
   * clients that were cut off together do not come back together.
   */
  async function pause(leastMs: number, mostMs: number): Promise<void> {
    const backoffMs = Math.random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt++);
    notBeforeMs = Date.now() + leastMs;
    // A listener may have ended it.
    if (isOver) return;
    await new Promise<unknown>((resolve) => {
      goOn = resolve;
      arm(Math.min(leastMs + backoffMs, mostMs), resolve);
    });
    notBeforeMs = Infinity;
  }

  function arm(ms: number, then: (reason: string) => void): void {
    const lateMs = Date.now() + ms + LATE_MS;
    clearTimeout(timer);
    timer = setTimeout(() => {
      // Browsers hold up the timers of pages that are hidden, and not their sockets.
      (Date.now() > lateMs && !globalThis.document?.hidden ? goOn : then)("away");
    }, ms);
  }

  function close(): void {
    isOver = true;
    goOn("away");
    clearTimeout(timer);
  }

  signal.addEventListener("abort", close);
  watchReturns((isNetwork) => {
    if (isAccepted) {
      const isLongAgo = Date.now() - heardAtMs > heartbeatMs + answerMs;
      if (isNetwork || isLongAgo) goOn("away");
      // Somebody looks at it: half the time will do.
      else beat(answerMs / 2);
    } else if (Date.now() >= notBeforeMs) goOn("");
  }, signal);
  // What WebSocket throws at once it throws each time.
  run().catch(user.gone);
  return {
    socket: () => socket,
    send(text) {
      if (isAccepted) socket?.send(text);
    },
    close,
  };
}
