/**
 * What a ticket is stored by: a hash of it and of what it is for, so that it is of no use for anything else, whichever
 * version looks for it. One of a subscriber is hashed as the version before does, which knows no others.
 */
import type { TokenAction } from "../core/token-claims.ts";
import { hashKey } from "./key-hash.ts";

/** Hashes a ticket. */
export function hashTicket(ticket: string, action: TokenAction): Promise<string> {
  // No ticket has a space.
  return hashKey(action === "subscribe" ? ticket : `${action} ${ticket}`);
}
