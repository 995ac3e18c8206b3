/**
 * A topic's sockets as the runtime has them: takes them, closes them, answers their Close frames, and counts those that
 * the hub has closed and that have not answered, since the runtime holds them as well. Knows neither phases nor
 * messages.
 * Invariant: one that was closed, by either side, carries the attachment `dismissed`, so that no wake takes it back.
 */
import { answerTo, type Close } from "../core/close-code.ts";
import { logError } from "../log.ts";
import { writeAttachment } from "./attachment.ts";
import { turn } from "../delivery/turn.ts";
import { SOCKET_LIMITS } from "./socket-limits.ts";

/** Sockets that are closed before the loop turns: a close costs some 0.1 ms. */
const SLICE = 16;

/** Both ends of a socket that was taken. */
export interface AcceptedSocket {
  readonly client: WebSocket;
  readonly server: WebSocket;
}

/** The sockets of one topic. */
export class Sockets {
  readonly #ctx: DurableObjectState;
  /** Closed by the hub, or about to be, and not answered yet. */
  readonly #dismissed: Set<WebSocket> = new Set();
  /** About to be closed. */
  readonly #waiting: Set<WebSocket> = new Set();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  /** How many the hub has closed that have not answered. */
  get closing(): number {
    return this.#dismissed.size;
  }

  /** Whether another one may come, beside so many that are here and not closed. */
  hasRoom(role: "publisher" | "subscriber", here: number): boolean {
    const { total, publisherRoom } = SOCKET_LIMITS;
    const bound = role === "publisher" ? total : total - publisherRoom;
    return here + this.#dismissed.size < bound;
  }

  /** Takes a socket for hibernation; `null` when the runtime takes no more. Nothing else has changed then. */
  accept(): AcceptedSocket | null {
    const { 0: client, 1: server } = new WebSocketPair();
    try {
      this.#ctx.acceptWebSocket(server);
    } catch (error) {
      // An Error, whatever was counted: the runtime holds as many as it can.
      logError({ event: "socket-not-taken", error: String(error) });
      return null;
    }
    return { client, server };
  }

  /** When the runtime last answered a heartbeat of a socket, `null` if never. */
  lastHeartbeatMs(socket: WebSocket): number | null {
    return this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? null;
  }

  /** Takes back, after a wake, one that was closed before. */
  adoptDismissed(socket: WebSocket): void {
    this.#dismissed.add(socket);
  }

  /** Closes a socket from the hub's side; from here on it counts for nothing else, after a wake neither. */
  dismiss(socket: WebSocket, { code, reason }: Close): void {
    writeAttachment(socket, { v: 1, role: "dismissed" });
    this.#dismissed.add(socket);
    socket.close(code, reason);
  }

  /** The same with many, some at a time: they count for nothing else at once. */
  dismissAll(sockets: readonly WebSocket[], close: Close): void {
    if (sockets.length === 0) return;
    for (const socket of sockets) {
      this.#dismissed.add(socket);
      this.#waiting.add(socket);
    }
    this.#ctx.waitUntil(this.#dismissInTurn(sockets, close));
  }

  async #dismissInTurn(sockets: readonly WebSocket[], close: Close): Promise<void> {
    for (const [n, socket] of sockets.entries()) {
      if (n % SLICE === SLICE - 1) await turn(0);
      // It may be gone by now.
      if (this.#waiting.delete(socket)) this.dismiss(socket, close);
    }
  }

  /**
   * Answers a peer's Close frame (RFC 6455, section 5.5.1), for which the peer waits: the runtime does not for a
   * hibernatable socket.
   */
  answer(socket: WebSocket, code: number, reason: string): void {
    writeAttachment(socket, { v: 1, role: "dismissed" });
    const answer = answerTo(code, reason);
    if (answer === null) socket.close();
    else socket.close(answer.code, answer.reason);
  }

  /** Whether the hub has closed a socket that has not answered. */
  isDismissed(socket: WebSocket): boolean {
    return this.#dismissed.has(socket) && !this.#waiting.has(socket);
  }

  /** The runtime has dropped a socket, or will now; whether the hub had closed it. */
  forget(socket: WebSocket): boolean {
    this.#waiting.delete(socket);
    return this.#dismissed.delete(socket);
  }
}
