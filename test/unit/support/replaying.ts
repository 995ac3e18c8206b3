/** A replay over real sockets, out of a log that a test makes up. */
import { formatCursor } from "../../../src/core/cursor.ts";
import type { Message } from "../../../src/core/message.ts";
import { Backlogs } from "../../../src/delivery/backlogs.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import type { DeliveryNode } from "../../../src/delivery/delivery-node.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import type { LogView } from "../../../src/delivery/log-view.ts";
import { Replay } from "../../../src/delivery/replay.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";
import { Client } from "./sockets.ts";

/** A replay, and what came of it. */
export interface Replaying {
  readonly replay: Replay;
  /** Serves whom it has brought up to the present. */
  readonly fanOut: FanOut;
  /** What its node was told, and its subscribers had to remember, in order. */
  readonly told: string[];
  /** Resolves when nobody is behind any more. */
  readonly idle: Promise<void>;
  /** A subscriber of the stream, and its client. */
  readonly streamSubscriber: (gap?: "skip" | "close") => {
    readonly subscriber: Subscriber;
    readonly client: Client;
  };
}

/** Makes one; the node notes what it is told, and what is not given is never called. */
export function createReplay(log: Partial<LogView>, maxBacklogBytes: number = Infinity): Replaying {
  const { promise: idle, resolve: onIdle, reject: onFailure } = Promise.withResolvers<void>();
  const told: string[] = [];
  const node: DeliveryNode = {
    maxBacklogBytes: () => maxBacklogBytes,
    close: (socket, { reason }) => {
      told.push(reason);
      replay.remove(socket);
      fanOut.remove(socket);
    },
    onUnreadable: (messages) => void told.push(`${messages} unreadable`),
    onIdle,
    onFailure,
  };
  const view: LogView = {
    head: cursorAt(3),
    gone: 0,
    read: (offset) => batchAt(offset + 1),
    resume: () => {
      throw new Error("A replay does not resume");
    },
    keepBehind: () => {},
    ...log,
  };
  const backlogs = new Backlogs(node);
  const fanOut = new FanOut(node, backlogs);
  const replay = new Replay(view, fanOut, node, backlogs);
  const streamSubscriber: Replaying["streamSubscriber"] = (gap = "skip") => {
    const { 0: client, 1: socket } = new WebSocketPair();
    socket.accept();
    const subscriber = new Subscriber({
      socket,
      protocol: "stream",
      closesOnGap: gap === "close",
      rememberPlace: (behind) =>
        void told.push(behind === null ? "current" : `up to ${behind.offset}`),
    });
    return { subscriber, client: new Client(client) };
  };
  return { replay, fanOut, told, idle, streamSubscriber };
}

/** A place in the only epoch. */
export function cursorAt(offset: number): { readonly epoch: string; readonly offset: number } {
  return { epoch: "epoch", offset };
}

/** A batch of these messages, or of one which is its offset. */
export function batchAt(offset: number, ...messages: readonly Message[]): Batch {
  const place = { epoch: "epoch", first: offset, last: offset, atMs: 0 };
  const last = offset + Math.max(0, messages.length - 1);
  return Batch.ofMessages({ ...place, last }, messages.length > 0 ? messages : [String(offset)]);
}

/** What a gap between two offsets looks like. */
export function gapOf(from: number, to: number): unknown {
  return { type: "gap", from: formatCursor(cursorAt(from)), to: formatCursor(cursorAt(to)) };
}
