/**
 * The size of a message as the policy counts it: UTF-8 bytes of text, bytes of binary.
 */
import type { Message } from "../core/message.ts";

/** Whether a message has more than so many bytes. */
export function isLargerThan(message: Message, maxBytes: number): boolean {
  if (typeof message !== "string") return message.byteLength > maxBytes;
  // A UTF-16 unit takes one to three bytes of UTF-8, so nearly every text is decided by its length.
  if (message.length > maxBytes) return true;
  if (message.length * 3 <= maxBytes) return false;
  return new TextEncoder().encode(message).byteLength > maxBytes;
}
