/** A message is the payload of a text frame, and there is nothing else. */
import { MessageFramer } from "./client-frame.ts";
import type { Dialect } from "./dialect.ts";
import { createFormat } from "./message-format.ts";
import { CountingSink, IgnoringSink, UnitSink } from "./payload-sinks.ts";

const OPCODE_TEXT = 1;

export const plain: Dialect = {
  subprotocol: () => undefined,
  greeting: () => undefined,
  format: (messageBytes) => createFormat(messageBytes),
  framer: (format) => new MessageFramer(OPCODE_TEXT, format),
  countingSink: (format) => new CountingSink(format),
  unitSink: (format, onUnit) => new UnitSink(format, onUnit),
  publisherSink: () => new IgnoringSink(),
};
