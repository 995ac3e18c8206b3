/**
 * What a socket carries through hibernation: who it is. Versioned and parsed, never cast, since an
 * older deploy may have written it. At most 16 KiB (platform limits); these are about 100 bytes.
 */
import * as v from "valibot";

/** A socket's identity within its topic. */
export type Attachment =
  | PublisherAttachment
  | { readonly v: 1; readonly role: "subscriber" }
  /** The hub has closed it: it counts for nothing, and what it still sends is fenced out. */
  | { readonly v: 1; readonly role: "dismissed" };

/** The identity of a socket that sends. */
export interface PublisherAttachment {
  readonly v: 1;
  readonly role: "publisher";
  /** The interval of the heartbeats it promised, `null` if it promised none. */
  readonly heartbeatSeconds: number | null;
  readonly connectedAtMs: number;
}

const AttachmentSchema: v.GenericSchema<unknown, Attachment> = v.variant("role", [
  v.object({
    v: v.literal(1),
    role: v.literal("publisher"),
    heartbeatSeconds: v.nullable(v.number()),
    connectedAtMs: v.number(),
  }),
  v.object({ v: v.literal(1), role: v.literal("subscriber") }),
  v.object({ v: v.literal(1), role: v.literal("dismissed") }),
]);

/** Makes an attachment part of its socket. */
export function writeAttachment(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}

/** Reads a socket's attachment; `null` for one that another version wrote. */
export function readAttachment(socket: WebSocket): Attachment | null {
  const parsed = v.safeParse(AttachmentSchema, socket.deserializeAttachment());
  return parsed.success ? parsed.output : null;
}
