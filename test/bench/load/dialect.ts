/**
 * What a target expects inside the WebSocket: nothing (`plain`), or MQTT packets (`mqtt`).
 *
 * The MQTT here is the least of 3.1.1 that publishes and subscribes at QoS 0.
 */
import { type MessageFormat, createFormat } from "./message-format.ts";

export type DialectName = "plain" | "mqtt";

export interface Dialect {
  readonly subprotocol: string | undefined;
  readonly opcode: number;
  /** Payload bytes that each client sends once, right after the handshake. */
  greeting(role: "publisher" | "subscriber", clientId: number): Uint8Array | undefined;
  /** Payload bytes that the server answers the greeting with, to be skipped before counting. */
  greetingAnswerBytes(role: "publisher" | "subscriber"): number;
  format(messageBytes: number): MessageFormat;
}

const TOPIC = "bench";
const CONNACK_BYTES = 4;
const SUBACK_BYTES = 5;

const plain: Dialect = {
  subprotocol: undefined,
  opcode: 1,
  greeting: () => undefined,
  greetingAnswerBytes: () => 0,
  format: (messageBytes) => createFormat(messageBytes, new Uint8Array()),
};

const mqtt: Dialect = {
  subprotocol: "mqtt",
  opcode: 2,
  greeting: (role, clientId) => {
    // Protocol name and level 4, clean session, no keep-alive; MQTT 3.1.1 section 3.1.
    const connect = packet(0x10, [...string("MQTT"), 4, 2, 0, 0, ...string(`c${clientId}`)]);
    // Packet identifier 1, then the filter with QoS 0; section 3.8.
    const subscribe = packet(0x82, [0, 1, ...string(TOPIC), 0]);
    return Uint8Array.from(role === "publisher" ? connect : [...connect, ...subscribe]);
  },
  greetingAnswerBytes: (role) =>
    role === "publisher" ? CONNACK_BYTES : CONNACK_BYTES + SUBACK_BYTES,
  format: (messageBytes) => {
    const body = [...string(TOPIC), ...new Uint8Array(messageBytes)];
    const prefix = packet(0x30, body).slice(0, -messageBytes);
    return createFormat(messageBytes, Uint8Array.from(prefix));
  },
};

export const dialects: Readonly<Record<DialectName, Dialect>> = { plain, mqtt };

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
