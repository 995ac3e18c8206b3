/**
 * The frames that the hub may send on a stream (PROTOCOL.md, 10.12), written down a second time: a
 * mistake in the hub's own codec must not excuse itself.
 */
import * as v from "valibot";
import { Violation } from "./violation.ts";

const WireMessageSchema = v.union([v.string(), v.strictObject({ base64: v.string() })]);
const CursorSchema = v.pipe(v.string(), v.regex(/^[0-9A-Za-z._~-]{1,64}$/));
const ProblemSchema = v.object({
  type: v.pipe(v.string(), v.regex(/^urn:wspubsub:problem:[a-z-]+$/)),
  title: v.string(),
  status: v.pipe(v.number(), v.integer()),
  detail: v.string(),
  retryAfter: v.optional(v.pipe(v.number(), v.integer())),
});

const ToSubscriberSchema = v.variant("type", [
  v.object({
    type: v.literal("open"),
    cursor: CursorSchema,
    recovered: v.nullable(v.boolean()),
  }),
  v.object({
    type: v.literal("messages"),
    cursor: CursorSchema,
    messages: v.pipe(v.array(WireMessageSchema), v.minLength(1)),
  }),
  v.object({ type: v.literal("gap"), from: CursorSchema, to: CursorSchema }),
  v.object({ type: v.literal("end") }),
]);

const ToPublisherSchema = v.variant("type", [
  v.object({ type: v.literal("ack"), id: v.string(), cursor: CursorSchema }),
  v.object({ type: v.literal("error"), id: v.nullable(v.string()), problem: ProblemSchema }),
]);

/** A message inside a frame. */
export type WireMessage = v.InferOutput<typeof WireMessageSchema>;
/** What a stream subscriber receives. */
export type ToSubscriber = v.InferOutput<typeof ToSubscriberSchema>;
/** What a stream publisher receives. */
export type ToPublisher = v.InferOutput<typeof ToPublisherSchema>;

/** Reads a frame to a subscriber. */
export function parseToSubscriber(data: string | ArrayBuffer): ToSubscriber {
  return parse(ToSubscriberSchema, data);
}

/** Reads a frame to a publisher. */
export function parseToPublisher(data: string | ArrayBuffer): ToPublisher {
  return parse(ToPublisherSchema, data);
}

function parse<T>(schema: v.GenericSchema<unknown, T>, data: string | ArrayBuffer): T {
  if (typeof data !== "string") throw new Violation("A stream carried a binary frame");
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (cause) {
    throw new Violation(`A stream carried what is not JSON: ${data.slice(0, 80)}`, { cause });
  }
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  throw new Violation(`A frame is not of the grammar: ${data.slice(0, 200)}`);
}
