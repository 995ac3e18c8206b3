/** The least of MQTT 3.1.1 that publishes and subscribes at QoS 0. */
import { MessageFramer, maskedFrame } from "./client-frame.ts";
import type { Dialect } from "./dialect.ts";
import { createFormat } from "./message-format.ts";
import { CountingSink, IgnoringSink, SkippingSink, UnitSink } from "./payload-sinks.ts";

const OPCODE_BINARY = 2;
const TOPIC = "bench";
const CONNACK_BYTES = 4;
const SUBACK_BYTES = 5;

export const mqtt: Dialect = {
  subprotocol: () => "mqtt",
  greeting: (role, clientId) => {
    // Protocol name and level 4, clean session, no keep-alive; MQTT 3.1.1 section 3.1.
    const connect = packet(0x10, [...string("MQTT"), 4, 2, 0, 0, ...string(`c${clientId}`)]);
    // Packet identifier 1, then the filter with QoS 0; section 3.8.
    const subscribe = packet(0x82, [0, 1, ...string(TOPIC), 0]);
    const payload = role === "publisher" ? connect : [...connect, ...subscribe];
    return maskedFrame(OPCODE_BINARY, Uint8Array.from(payload));
  },
  format: (messageBytes) => {
    const body = [...string(TOPIC), ...new Uint8Array(messageBytes)];
    const prefix = packet(0x30, body).slice(0, -messageBytes);
    return createFormat(messageBytes, { prefix: Uint8Array.from(prefix) });
  },
  framer: (format) => new MessageFramer(OPCODE_BINARY, format),
  countingSink: (format) =>
    new SkippingSink(new CountingSink(format), CONNACK_BYTES + SUBACK_BYTES),
  unitSink: (format, onUnit) =>
    new SkippingSink(new UnitSink(format, onUnit), CONNACK_BYTES + SUBACK_BYTES),
  publisherSink: () => new SkippingSink(new IgnoringSink(), CONNACK_BYTES),
};

function packet(firstByte: number, body: readonly number[]): number[] {
  return [firstByte, ...variableLength(body.length), ...body];
}

function variableLength(length: number): number[] {
  return length < 128
    ? [length]
    : [(length % 128) | 0x80, ...variableLength(Math.floor(length / 128))];
}

function string(text: string): number[] {
  const bytes = Buffer.from(text);
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}
