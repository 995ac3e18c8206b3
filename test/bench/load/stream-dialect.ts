/** The hub's `wspubsub.v1`: JSON objects in text frames, with many messages in one. */
import { STREAM_PROTOCOL } from "../../../src/core/stream.ts";
import { AckSink } from "./ack-sink.ts";
import type { Dialect } from "./dialect.ts";
import { createFormat } from "./message-format.ts";
import { StreamFramer } from "./stream-framer.ts";
import { StreamSink } from "./stream-sink.ts";

export const stream: Dialect = {
  subprotocol: () => STREAM_PROTOCOL,
  greeting: () => undefined,
  format: (messageBytes) =>
    createFormat(messageBytes, { prefix: Buffer.from('"'), suffix: Buffer.from('",') }),
  framer: (format) => new StreamFramer(format),
  countingSink: (format) => new StreamSink(format),
  unitSink: (format, onUnit) => new StreamSink(format, onUnit),
  publisherSink: () => new AckSink(),
};
