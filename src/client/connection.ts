/**
 * One socket, from its handshake to its end: reads frames, sends heartbeats, and finds out when nobody is there
 * any more. Knows neither topics nor why it was opened. Invariant: `over` resolves once, within a bounded time of
 * the network's death, and nothing is heard of the socket after it.
 */
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE } from "../core/heartbeat.ts";
import { HubError } from "./hub-error.ts";
import { problemOf, type Frame } from "./read-frame.ts";

/** A handshake that takes longer has failed. */
const HANDSHAKE_MS = 10_000;
/** An answer to a heartbeat, or any other frame, comes within this time where the page is back. */
const PROBE_MS = 2_000;
/** A timer that fires so much later was held up by a sleep. */
const LATE_MS = 5_000;

/** What stands for the answer to a heartbeat: a frame that means nothing. */
const HEARTBEAT: Frame = { type: "" };

/** A socket that is being opened, or is open. */
export interface Connection {
  /** Why it ended. */
  readonly over: Promise<HubError>;
  /** Leaves the socket behind, for a reason of the client's: a dead one would not say that it is closed for long. */
  leave(slug: "no-answer" | "away" | "unreadable-frame"): void;
  /** The page is back: is anybody there? */
  probe(): void;
}

/** Takes a socket that is being opened, and hands over its frames. */
export function openConnection(
  socket: WebSocket,
  heartbeatMs: number,
  receive: (frame: Frame, text: string) => void,
): Connection {
  const answerMs = heartbeatMs / 2;
  let timer: ReturnType<typeof setTimeout>;
  let heardAtMs = 0;
  let refusal: HubError | undefined;
  const { promise: over, resolve } = Promise.withResolvers<HubError>();

  function end(slug: string, code: number | null): void {
    clearTimeout(timer);
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Closing one that is being opened is an error to some.
    socket.onerror = () => {};
    socket.close();
    // What the hub told before is the reason only if it says so.
    const error = refusal?.slug === slug ? refusal : new HubError(slug, `Closed with ${code}`);
    resolve(Object.assign(error, { code }));
  }
  const leave: Connection["leave"] = (slug) => end(slug, null);
  function arm(ms: number, then: () => void): void {
    const lateMs = Date.now() + ms + LATE_MS;
    clearTimeout(timer);
    timer = setTimeout(() => {
      // Browsers hold up the timers of pages that are hidden, and not their sockets.
      if (Date.now() > lateMs && !globalThis.document?.hidden) leave("away");
      else then();
    }, ms);
  }
  /** Of two halves of the interval the first is for the answer. */
  function beat(withinMs: number): void {
    const sinceMs = Date.now();
    socket.send(HEARTBEAT_REQUEST);
    arm(withinMs, () => {
      if (heardAtMs < sinceMs) leave("no-answer");
      else arm(answerMs, () => beat(answerMs));
    });
  }

  socket.binaryType = "arraybuffer";
  socket.onopen = () => beat(answerMs);
  socket.onmessage = ({ data }) => {
    heardAtMs = Date.now();
    try {
      const frame: Frame = data === HEARTBEAT_RESPONSE ? HEARTBEAT : JSON.parse(data);
      if (frame.type === "error" && frame.id === null) refusal = problemOf(frame);
      else receive(frame, data);
    } catch {
      // SyntaxError, or what is thrown by readers of frames: it is none.
      leave("unreadable-frame");
    }
  };
  socket.onclose = ({ code, reason }) => end(reason || "connection-lost", code);
  socket.onerror = () => end("connection-lost", 1006);
  arm(HANDSHAKE_MS, () => leave("no-answer"));
  return {
    over,
    leave,
    probe() {
      if (Date.now() - heardAtMs > heartbeatMs + answerMs) leave("away");
      else beat(PROBE_MS);
    },
  };
}
