/** The dialects by name: a name can cross a process boundary. */
import type { Dialect, DialectName } from "./dialect.ts";
import { mqtt } from "./mqtt-dialect.ts";
import { nchanMeta } from "./nchan-meta-dialect.ts";
import { plain } from "./plain-dialect.ts";
import { stream } from "./stream-dialect.ts";

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  plain,
  mqtt,
  stream,
  "nchan-meta": nchanMeta,
};
