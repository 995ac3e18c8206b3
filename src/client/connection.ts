/**
 * One socket, from its handshake to its end: reads frames, sends heartbeats, and finds out when nobody is there
 * any more. Knows neither topics nor why it was opened. Invariant: `over` resolves once, within a bounded time of
 * the network's death, and nothing is heard of the socket after it.
 */
import { HEARTBEAT_REQUEST } from "../core/heartbeat.ts";
import { parseHubFrame, type HubFrame } from "../core/hub-frame.ts";
import type { ProblemDetails } from "../core/problem.ts";
import { closeError, type HubError } from "./hub-error.ts";

/** A handshake that takes longer has failed. */
const HANDSHAKE_MS = 10_000;
/** An answer to a heartbeat, or any other frame, comes within this time where the page is back, and somebody looks at it. */
const PROBE_MS = 2_000;
/** A socket that says nothing of its end has ended. */
const CLOSE_MS = 2_000;
/** A timer that fires so much later was held up by a sleep. */
const LATE_MS = 5_000;
/** Frames are not handed to a socket that holds more than this. */
const MAX_BUFFERED_BYTES = 4_194_304;

/** How a connection ended. */
export interface Loss {
  readonly error: HubError;
  /** Nothing is wrong with the hub: the next connection need not wait. */
  readonly isOurs: boolean;
  /** The hub sent what is no frame of its. */
  readonly isUnreadable: boolean;
}

/** Takes a frame, and its text. */
export type Receive = (frame: HubFrame, text: string) => void;

/** A socket that is being opened, or is open. */
export class Connection {
  readonly over: Promise<Loss>;
  readonly #socket: WebSocket;
  readonly #heartbeatMs: number;
  readonly #receive: Receive;
  readonly #onAccepted: () => void;
  #resolve: (loss: Loss) => void = () => {};
  #isAccepted = false;
  #isHeard = false;
  #heardAtMs = 0;
  #problem: ProblemDetails | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Takes a socket that is being opened; `onAccepted` is called before the first frame that is no refusal. */
  constructor(socket: WebSocket, heartbeatMs: number, receive: Receive, onAccepted: () => void) {
    this.#socket = socket;
    this.#heartbeatMs = heartbeatMs;
    this.#receive = receive;
    this.#onAccepted = onAccepted;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#beat(this.#answerMs);
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onerror = () => this.end(1006);
    socket.onclose = ({ code, reason }) => this.end(code, reason);
    this.#arm(HANDSHAKE_MS, () => this.end(1006, "The handshake took too long"));
  }

  /** Of two halves of the interval the first is for the answer. */
  get #answerMs(): number {
    return this.#heartbeatMs / 2;
  }

  /** Whether the hub has let it in. With `explain=1` an open socket alone does not say so. */
  get isAccepted(): boolean {
    return this.#isAccepted;
  }

  /** Whether the socket takes more without holding much of it. */
  get hasRoom(): boolean {
    return this.#socket.bufferedAmount < MAX_BUFFERED_BYTES;
  }

  /** Resolves when the socket is closed, after `end`. */
  closed(): Promise<void> {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSE_MS);
      socket.onclose = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Sends a frame. */
  send(text: string): void {
    this.#socket.send(text);
  }

  /** The page is back, or the machine: is anybody there? */
  probe(): void {
    if (!this.#isAccepted) return;
    if (Date.now() - this.#heardAtMs > this.#heartbeatMs + this.#answerMs) this.leave();
    else this.#beat(PROBE_MS);
  }

  /** Leaves the socket behind, for another at once. */
  leave(): void {
    this.end(1006, "The network or the page was away", { isOurs: true });
  }

  /** Leaves the socket behind: a dead one would not say that it is closed for a long time. */
  end(
    code: number,
    reason: string = "",
    { isOurs = false, isUnreadable = false }: Partial<Omit<Loss, "error">> = {},
  ): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Closing one that is being opened is an error to some.
    socket.onerror = () => {};
    socket.close();
    this.#resolve({ error: closeError(code, reason, this.#problem), isOurs, isUnreadable });
  }

  #hear(data: unknown): void {
    this.#isHeard = true;
    this.#heardAtMs = Date.now();
    const frame = parseHubFrame(typeof data === "string" ? data : new ArrayBuffer());
    if (!frame.ok) return this.end(1006, frame.error, { isUnreadable: true });
    if (frame.value.type === "error" && frame.value.id === null) {
      this.#problem = frame.value.problem;
      return;
    }
    if (!this.#isAccepted) {
      this.#isAccepted = true;
      this.#onAccepted();
    }
    this.#receive(frame.value, String(data));
  }

  #beat(answerMs: number): void {
    this.#isHeard = false;
    this.send(HEARTBEAT_REQUEST);
    this.#arm(answerMs, () => {
      if (!this.#isHeard) return this.end(1006, "The hub does not answer");
      this.#arm(this.#answerMs, () => this.#beat(this.#answerMs));
    });
  }

  #arm(ms: number, then: () => void): void {
    const dueMs = Date.now() + ms;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Browsers hold up the timers of pages that are hidden, and not their sockets.
      const isLate =
        Date.now() - dueMs > LATE_MS && globalThis.document?.visibilityState !== "hidden";
      if (isLate) this.leave();
      else then();
    }, ms);
  }
}
