/** A replay over real sockets, out of a log that a test makes up. */
import { formatCursor } from "../../../src/core/cursor.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import type { LogView } from "../../../src/delivery/log-view.ts";
import { Replay, type ReplayNode } from "../../../src/delivery/replay.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";
import { Client } from "./sockets.ts";

/** A replay, and what came of it. */
export interface Replaying {
  readonly replay: Replay;
  /** What its node was told, in order. */
  readonly told: string[];
  /** Resolves when nobody is behind any more. */
  readonly idle: Promise<void>;
}

/** Makes one; the node notes what it is told, and what is not given is never called. */
export function createReplay(log: Partial<LogView>, maxBacklogBytes: number = Infinity): Replaying {
  const { promise: idle, resolve: onIdle, reject: onFailure } = Promise.withResolvers<void>();
  const told: string[] = [];
  const leave = (what: string, subscriber: Subscriber): void => {
    told.push(what);
    replay.remove(subscriber.socket);
  };
  const node: ReplayNode = {
    maxBacklogBytes: () => maxBacklogBytes,
    onProgress: (_, offset) => void told.push(`up to ${offset}`),
    onCurrent: () => void told.push("current"),
    onGap: (subscriber) => leave("gap", subscriber),
    onUnreadable: (messages) => void told.push(`${messages} unreadable`),
    onSlow: (subscriber) => leave("slow", subscriber),
    onIdle,
    onFailure,
  };
  const view: LogView = {
    head: cursorAt(3),
    gone: 0,
    read: (offset) => batchAt(offset + 1),
    hold: () => {},
    ...log,
  };
  const replay = new Replay(view, node);
  return { replay, told, idle };
}

/** A place in the only epoch. */
export function cursorAt(offset: number): { readonly epoch: string; readonly offset: number } {
  return { epoch: "epoch", offset };
}

/** A batch of one message, which is its offset. */
export function batchAt(offset: number): Batch {
  const place = { epoch: "epoch", first: offset, last: offset, atMs: 0 };
  return Batch.ofMessages(place, [String(offset)]);
}

/** A subscriber of the stream, and its client. */
export function streamSubscriber(gap: "skip" | "close" = "skip"): {
  readonly subscriber: Subscriber;
  readonly client: Client;
} {
  const { 0: client, 1: socket } = new WebSocketPair();
  socket.accept();
  const subscriber = new Subscriber(socket, "stream", gap === "close");
  return { subscriber, client: new Client(client) };
}

/** What a gap between two offsets looks like. */
export function gapOf(from: number, to: number): unknown {
  return { type: "gap", from: formatCursor(cursorAt(from)), to: formatCursor(cursorAt(to)) };
}
