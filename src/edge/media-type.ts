/**
 * How the body of a post is to be read, by its `Content-Type` (PROTOCOL.md, 17.2): what is known to be text is text,
 * and whatever nobody knows is bytes. Looks at headers alone.
 */
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";

/** How a body is read. */
export type BodyKind =
  /** One message. */
  | "text"
  | "bytes"
  /** A message a line. */
  | "lines"
  /** A `publish` of the stream. */
  | "frame";

/** The stream's frames as bodies. */
export const FRAME_TYPE = "application/vnd.wspubsub.v1+json";

const LINES_TYPES: readonly string[] = [
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
];
const TEXT_TYPES: readonly string[] = ["application/json", "application/x-www-form-urlencoded"];

/** A media type and its parameters (RFC 9110, section 8.3.1). */
const MEDIA_TYPE = /^([\w!#$&^.+-]+\/[\w!#$&^.+-]+)[\t ]*(;.*)?$/;
const CHARSET = /;[\t ]*charset=("?)([^";]*)\1/gi;
/** UTF-8's names that are in use. */
const UTF8 = /^utf-?8$/i;

/** Reads what a request says of its body. */
export function readBodyKind(headers: Headers): Result<BodyKind, Problem> {
  const encoding = headers.get("Content-Encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity") return refuse("Send the body as it is, without Content-Encoding");
  const contentType = headers.get("Content-Type")?.trim() ?? "";
  if (contentType === "") return ok("text");
  const [, written, parameters = ""] = MEDIA_TYPE.exec(contentType) ?? [];
  if (written === undefined) return refuse("The Content-Type is not a media type");
  const kind = kindOf(written.toLowerCase());
  const charsets =
    parameters === ""
      ? []
      : [...parameters.matchAll(CHARSET)].map(([, , charset = ""]) => charset.trim());
  // What is not read as text has no charset that would matter.
  const isForeign = kind !== "bytes" && charsets.some((charset) => !UTF8.test(charset));
  if (isForeign) return refuse("Send text in UTF-8");
  return ok(kind);
}

function kindOf(mediaType: string): BodyKind {
  if (mediaType === FRAME_TYPE) return "frame";
  if (LINES_TYPES.includes(mediaType)) return "lines";
  const isText = mediaType.startsWith("text/") || mediaType.endsWith("+json");
  return isText || TEXT_TYPES.includes(mediaType) ? "text" : "bytes";
}

function refuse(detail: string): Result<never, Problem> {
  return err({ slug: "unsupported-media-type", detail });
}
