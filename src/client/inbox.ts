/**
 * What was received and waits for the caller. Owns its order, its size, and how a frame becomes messages with a place
 * and a time each. Knows no sockets, and never decides what is received.
 */
import type { HubFrame } from "../core/hub-frame.ts";
import type { Span } from "../core/span.ts";
import { placeWithin } from "./place.ts";
import type { Received } from "./types.ts";

/** Frames that concern the caller. */
export type News = Extract<HubFrame, { type: "messages" | "gap" | "end" }>;

/** One of them, as it waits. */
export interface Item<Frame extends News = News> {
  readonly frame: Frame;
  /** The place where it begins. */
  readonly start: string;
  /** How many of its messages are known already. */
  readonly known: number;
  readonly bytes: number;
  /** By which connection it came. */
  readonly session: number;
}

/** A queue. */
export class Inbox {
  #items: Item[] = [];
  #bytes = 0;

  /** Of all that waits. */
  get bytes(): number {
    return this.#bytes;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#bytes += item.bytes;
  }

  shift(): void {
    this.#bytes -= this.#items.shift()?.bytes ?? 0;
  }

  clear(): void {
    this.#items = [];
  }
}

/** The messages of a frame that are not known yet. */
export function* messagesOf({ frame, start, known }: Item): Generator<Received> {
  if (frame.type !== "messages") return;
  const { messages, cursor } = frame;
  const times = timesOf(frame.at ?? []);
  for (const [index, message] of messages.entries()) {
    const at = times.next().value ?? null;
    if (index < known) continue;
    yield {
      data: typeof message === "string" ? message : new Uint8Array(message),
      cursor: index + 1 === messages.length ? cursor : placeWithin(start, index + 1),
      at,
    };
  }
}

function* timesOf(spans: readonly Span[]): Generator<Date, undefined> {
  for (const { count, atMs } of spans) {
    for (let n = 0; n < count; n++) yield new Date(atMs);
  }
}
