/**
 * Tickets (PROTOCOL.md, 13.5): for clients that can send neither a header nor a subprotocol when they open a socket.
 * The holder of a token or a key exchanges it for a text that opens one topic, once.
 */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { TICKET_SECONDS } from "../core/ticket.ts";
import type { TokenAction } from "../core/token-claims.ts";
import { domainStub } from "../stubs.ts";
import { readBearer } from "./admin-access.ts";
import type { Caller } from "./caller.ts";
import { checkCredential, checkKeyWithDomain } from "./check-credential.ts";
import { readKeyOrToken } from "./credential.ts";
import { hashTicket } from "./hash-ticket.ts";

/** What a ticket may be for, by the value of `?role=`. */
const ACTIONS: ReadonlyMap<string, TokenAction> = new Map([
  ["subscriber", "subscribe"],
  ["publisher", "publish"],
]);

/** Gives a ticket for a topic to whoever may do there what the ticket is for. */
export async function issueTicket(
  caller: Caller,
  authorization: string | null,
  address: Address,
  query: URLSearchParams,
): Promise<Result<object, Problem>> {
  const action = ACTIONS.get(query.get("role") ?? "subscriber");
  if (action === undefined) {
    return err({
      slug: "invalid-parameter",
      detail: '"role" must be "subscriber" or "publisher"',
    });
  }
  const text = readBearer(authorization);
  if (!text.ok) return text;
  const credential = readKeyOrToken(text.value);
  if (!credential.ok) return credential;
  const checked =
    credential.value.type === "key"
      ? await checkKeyWithDomain(caller, credential.value, address.domain)
      : await checkCredential(caller, credential.value, { address, action });
  if (!checked.ok) return checked;
  const ticket = crypto
    .getRandomValues(new Uint8Array(32))
    .toBase64({ alphabet: "base64url", omitPadding: true });
  const { grant } = checked.value;
  const hash = await hashTicket(ticket, action);
  await askAgain(() =>
    domainStub(caller.env, address.domain).issueTicket(hash, address.topic, grant),
  );
  return ok({ ticket, expires_in: TICKET_SECONDS });
}
