/**
 * By which number a topic counts what one client has there, without learning who that is: a few bits of a hash that is
 * another one for each topic. For each number there are 65,536 IPv4 addresses, and two clients seldom share one.
 */
import { objectName, type Address } from "../core/address.ts";
import { CLIENT_NUMBERS } from "../core/admission.ts";
import { hashKey } from "./key-hash.ts";

/** The number of a client, as it is named (client-name.ts), on a topic. */
export async function clientNumberOf(client: string, address: Address): Promise<number> {
  // No name has a line feed: an address has no control characters.
  const hash = await hashKey(`${objectName(address)}\n${client}`);
  return Number.parseInt(hash.slice(0, 8), 16) % CLIENT_NUMBERS;
}
