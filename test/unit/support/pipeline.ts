/** A sequencer and its fan-out over real sockets, without a topic. */
import type { Message } from "../../../src/core/message.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import type { DeliveryNode } from "../../../src/delivery/delivery-node.ts";
import { FanOut } from "../../../src/delivery/fan-out.ts";
import { Subscriber } from "../../../src/delivery/subscriber.ts";
import type { Publication } from "../../../src/topic/publication.ts";
import { Sequencer, type SequencedTopic } from "../../../src/topic/sequencer.ts";

/** A sequencer and its fan-out. */
export interface Pipeline {
  readonly sequencer: Sequencer;
  readonly fanOut: FanOut;
}

/** How a pipeline differs from one whose subscribers are never slow, on a log that keeps nothing. */
export interface PipelineOptions
  extends Partial<SequencedTopic>, Partial<Pick<DeliveryNode, "maxBacklogBytes" | "close">> {
  readonly isDurable?: boolean;
  /** What happens as a batch is put into the log; what it throws, storage throws. */
  readonly onAppend?: () => void;
}

/** Makes one. */
export function createPipeline(options: PipelineOptions = {}): Pipeline {
  const head = { epoch: "epoch", offset: 0 };
  const append = (publications: readonly Publication[]): Batch | null => {
    options.onAppend?.();
    const messages = publications.flatMap((publication) => publication.messages);
    if (messages.length === 0) return null;
    const first = head.offset + 1;
    head.offset += messages.length;
    return Batch.ofMessages({ epoch: "epoch", first, last: head.offset, atMs: 0 }, messages);
  };
  const fanOut = new FanOut({ maxBacklogBytes: () => Infinity, close: () => {}, ...options });
  const sequencer = new Sequencer({ append, head, isDurable: options.isDurable ?? false }, fanOut, {
    historyDelayMs: () => 125,
    onAppended: () => {},
    onLogFailure: () => {},
    onIdle: () => {},
    hold: (work) => void work(),
    onFailure: () => {},
    ...options,
  });
  return { sequencer, fanOut };
}

/** A subscriber of bare messages of which nothing is kept. */
export function bareSubscriber(socket: WebSocket): Subscriber {
  return new Subscriber({ socket, protocol: "raw", closesOnGap: false, rememberPlace: () => {} });
}

/** Publishes a raw message. */
export function publish({ sequencer }: Pipeline, message: Message): void {
  sequencer.publish({ messages: [message], receipt: null });
}

/** A subscriber, and what it has received. */
export interface Member {
  readonly socket: WebSocket;
  readonly received: Message[];
  /** Resolves once so many messages have arrived. */
  arrived(count: number): Promise<Message[]>;
}

/** Adds a raw subscriber. */
export function member({ fanOut }: Pipeline): Member {
  const { 0: client, 1: socket } = new WebSocketPair();
  const received: Message[] = [];
  const waiting: { count: number; resolve: (messages: Message[]) => void }[] = [];
  client.accept();
  client.addEventListener("message", ({ data }) => {
    received.push(data);
    for (const { count, resolve } of waiting) if (received.length >= count) resolve(received);
  });
  socket.accept();
  fanOut.add(bareSubscriber(socket));
  return {
    socket,
    received,
    arrived: (count) => {
      if (received.length >= count) return Promise.resolve(received);
      return new Promise((resolve) => waiting.push({ count, resolve }));
    },
  };
}

/** So many messages, all different. */
export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n));
}
