/**
 * One socket, from its handshake to its end: reads frames, sends heartbeats, and finds out when nobody is there
 * any more. Knows neither topics nor why it was opened. Invariant: `over` resolves once, within a bounded time of
 * the network's death, and nothing is heard of the socket after it.
 */
import { HEARTBEAT_REQUEST } from "../core/heartbeat.ts";
import { HubError } from "./hub-error.ts";
import { readFrame, type Frame } from "./read-frame.ts";

/** A handshake that takes longer has failed. */
const HANDSHAKE_MS = 10_000;
/** An answer to a heartbeat, or any other frame, comes within this time where the page is back. */
const PROBE_MS = 2_000;
/** A timer that fires so much later was held up by a sleep. */
const LATE_MS = 5_000;
/** What no Close frame says, so that it is the client's own word. */
const LOST_CODE = 1006;

/** Why a client leaves a socket behind. */
type OwnReason = "no-answer" | "away" | "unreadable-frame";

/** A socket that is being opened, or is open. */
export interface Connection {
  /** Why it ended. */
  readonly over: Promise<HubError>;
  /** Leaves the socket behind: a dead one would not say that it is closed for a long time. */
  leave(reason: OwnReason): void;
  /** The page is back, or the machine: is anybody there? */
  probe(): void;
}

/** Whether a connection was left for this reason. */
export function isLeft({ code, slug }: HubError, reason: OwnReason): boolean {
  return code === LOST_CODE && slug === reason;
}

/** Takes a socket that is being opened, and hands over its frames, but for the hub's refusal of the connection. */
export function openConnection(
  socket: WebSocket,
  heartbeatMs: number,
  receive: (frame: Frame, text: string) => void,
): Connection {
  const { promise: over, resolve } = Promise.withResolvers<HubError>();
  let timer: ReturnType<typeof setTimeout>;
  let heardAtMs = 0;
  let refusal: HubError | null = null;

  function end(code: number, reason: string): void {
    clearTimeout(timer);
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Closing one that is being opened is an error to some.
    socket.onerror = () => {};
    socket.close();
    const error = new HubError(reason || "connection-lost", `The connection ended with ${code}`);
    // What the hub told before is the reason only if it says so.
    resolve(Object.assign(refusal?.slug === reason ? refusal : error, { code }));
  }
  function leave(reason: OwnReason): void {
    end(LOST_CODE, reason);
  }
  function arm(ms: number, then: () => void): void {
    const dueMs = Date.now() + ms;
    clearTimeout(timer);
    timer = setTimeout(() => {
      // Browsers hold up the timers of pages that are hidden, and not their sockets.
      if (Date.now() - dueMs > LATE_MS && !globalThis.document?.hidden) leave("away");
      else then();
    }, ms);
  }
  /** Of two halves of the interval the first is for the answer. */
  function beat(answerMs: number): void {
    const sinceMs = Date.now();
    socket.send(HEARTBEAT_REQUEST);
    arm(answerMs, () => {
      if (heardAtMs < sinceMs) leave("no-answer");
      else arm(heartbeatMs / 2, () => beat(heartbeatMs / 2));
    });
  }

  socket.binaryType = "arraybuffer";
  socket.onopen = () => beat(heartbeatMs / 2);
  socket.onmessage = ({ data }) => {
    heardAtMs = Date.now();
    const frame = readFrame(data);
    if (frame === null) leave("unreadable-frame");
    else if (frame.type === "error" && frame.id === null) refusal = frame.error;
    else receive(frame, data);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  socket.onerror = () => end(LOST_CODE, "");
  arm(HANDSHAKE_MS, () => leave("no-answer"));
  return {
    over,
    leave,
    probe() {
      if (Date.now() - heardAtMs > heartbeatMs * 1.5) leave("away");
      else beat(PROBE_MS);
    },
  };
}
