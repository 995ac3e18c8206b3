/**
 * What the hub may send on a stream in each role; all else is a violation. The reader is the codec's own: that it
 * agrees with the grammar of PROTOCOL.md, 10.12, the unit tests see to, and the integration tests hold every frame
 * against a grammar of their own.
 */
import { parseHubFrame, type HubFrame } from "../../../src/core/hub-frame.ts";
import { Violation } from "./violation.ts";

type FrameOf<Type extends HubFrame["type"]> = Extract<HubFrame, { type: Type }>;

/** What a stream subscriber receives. */
export type ToSubscriber = FrameOf<"open" | "messages" | "gap" | "end">;
/** What a stream publisher receives. */
export type ToPublisher = FrameOf<"ack" | "error">;

/** Reads a frame to a subscriber. */
export function parseToSubscriber(data: string | ArrayBuffer): ToSubscriber {
  const frame = parse(data);
  const { type } = frame;
  if (type === "open" || type === "messages" || type === "gap" || type === "end") return frame;
  throw new Violation(`A subscriber received ${excerpt(data)}`);
}

/** Reads a frame to a publisher. */
export function parseToPublisher(data: string | ArrayBuffer): ToPublisher {
  const frame = parse(data);
  if (frame.type === "ack" || frame.type === "error") return frame;
  throw new Violation(`A publisher received ${excerpt(data)}`);
}

function parse(data: string | ArrayBuffer): HubFrame {
  const frame = parseHubFrame(data);
  if (frame.ok) return frame.value;
  throw new Violation(`${frame.error} (10.12), not ${excerpt(data)}`);
}

function excerpt(data: string | ArrayBuffer): string {
  return typeof data === "string" ? data.slice(0, 200) : `${data.byteLength} bytes`;
}
