/** nchan with the ids of messages, which a subscriber needs to go on after a cut. */
import type { Dialect } from "./dialect.ts";
import { NchanMetaSink } from "./nchan-meta-sink.ts";
import { plain } from "./plain-dialect.ts";

export const nchanMeta: Dialect = {
  ...plain,
  subprotocol: (role) => (role === "subscriber" ? "ws+meta.nchan" : undefined),
  countingSink: (format) => new NchanMetaSink(format),
  unitSink: (format, onUnit) => new NchanMetaSink(format, onUnit),
};
