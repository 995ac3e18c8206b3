/**
 * What a target expects inside the WebSocket: messages as they are (`plain`), MQTT packets (`mqtt`),
 * the hub's own JSON frames (`stream`), or nchan's messages with their ids (`nchan-meta`).
 */
import type { PayloadSink } from "./frame-reader.ts";
import type { MessageFormat } from "./message-format.ts";
import type { OnUnit } from "./payload-sinks.ts";

export type DialectName = "plain" | "mqtt" | "stream" | "nchan-meta";

export type Role = "publisher" | "subscriber";

/** Builds runs of messages with consecutive sequence numbers, as masked frames ready to be written. */
export interface Framer {
  build(firstSequence: number, count: number): Buffer;
}

export interface Dialect {
  subprotocol(role: Role): string | undefined;
  /** A masked frame that each client sends once, right after the handshake. */
  greeting(role: Role, clientId: number): Buffer | undefined;
  format(messageBytes: number): MessageFormat;
  framer(format: MessageFormat): Framer;
  /** Counts what a subscriber receives, as cheaply as the dialect allows. */
  countingSink(format: MessageFormat): PayloadSink;
  /** Hands on every message that a subscriber receives, with the format's bytes around it. */
  unitSink(format: MessageFormat, onUnit: OnUnit): PayloadSink;
  /** Takes what the server sends to a publisher. */
  publisherSink(): PayloadSink;
}
