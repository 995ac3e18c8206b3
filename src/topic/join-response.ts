/** How an object answers an upgrade: by 101, or by header to the edge. */
import { formatAnswer, WAITING_HEADER, type Answer, type Admission } from "../core/admission.ts";

/** The runtime takes no more sockets. */
export const TOPIC_FULL: Answer = { type: "refused", slug: "topic-full" };

/** Anything but a 101; the edge makes of it what the client gets. */
export function answerWith(answer: Answer): Response {
  return new Response(null, { status: 403, headers: formatAnswer(answer) });
}

/** The 101 of an admitted socket, also of one that waits; `client` is the end that the client gets. */
export function upgradeTo(
  client: WebSocket,
  { subprotocol }: Admission,
  { isWaiting = false }: { readonly isWaiting?: boolean } = {},
): Response {
  const headers = new Headers();
  if (isWaiting) headers.set(WAITING_HEADER, "1");
  if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol);
  return new Response(null, { status: 101, webSocket: client, headers });
}
