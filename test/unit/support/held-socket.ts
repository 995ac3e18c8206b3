/** Sockets whose peer reads when a test says so: the runtime tells of what waits, as it does from 1.20261117 on. */
import type { Cursor } from "../../../src/core/cursor.ts";
import type { Message } from "../../../src/core/message.ts";
import type { Protocol } from "../../../src/core/stream.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";

/** The hub's end of such a socket; nothing reaches a client. */
export interface HeldSocket {
  readonly socket: WebSocket;
  /** All that was sent. */
  readonly sent: readonly Message[];
  /** Bytes of payload that wait. */
  readonly waitingBytes: number;
  /** The peer reads so many of the messages that wait. */
  read(count?: number): void;
  /** Its connection ends. */
  end(): void;
}

/** A subscriber over one, and what its node was to remember of it. */
export interface HeldSubscriber extends HeldSocket {
  readonly subscriber: Subscriber;
  readonly remembered: readonly (Cursor | null)[];
}

/** Makes a socket. */
export function heldSocket(): HeldSocket {
  const { 0: peer, 1: socket } = new WebSocketPair();
  socket.accept();
  // Or it were collected, and the socket closed.
  Object.defineProperty(socket, "peer", { value: peer });
  const sent: Message[] = [];
  let waiting: number[] = [];
  const sum = (): number => waiting.reduce((bytes, each) => bytes + each, 0);
  Object.defineProperty(socket, "bufferedAmount", { configurable: true, get: sum });
  Object.defineProperty(socket, "send", {
    configurable: true,
    value: (message: Message) => {
      sent.push(message);
      waiting.push(
        typeof message === "string" ? new TextEncoder().encode(message).length : message.byteLength,
      );
    },
  });
  return {
    socket,
    sent,
    get waitingBytes() {
      return sum();
    },
    read: (count = Infinity) => {
      waiting = waiting.slice(count);
    },
    end: () => {
      // What the runtime tells of it then is what it was before.
      Object.defineProperty(socket, "readyState", { value: WebSocket.CLOSED });
    },
  };
}

/** Makes a subscriber. */
export function heldSubscriber(
  protocol: Protocol = "raw",
  held: HeldSocket = heldSocket(),
): HeldSubscriber {
  const remembered: (Cursor | null)[] = [];
  const subscriber = new Subscriber({
    socket: held.socket,
    protocol,
    closesOnGap: false,
    rememberPlace: (behind) => void remembered.push(behind),
  });
  return Object.assign(held, { subscriber, remembered });
}
