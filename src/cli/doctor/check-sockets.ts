/** Whether a WebSocket reaches the hub, and what of a topic is seen by that. */
import { remedyFor } from "../messages/remedy.ts";
import type { TopicAddress } from "../messages/topic-address.ts";
import { fine, skipped, wrong, type Check } from "./check.ts";
import type { Handshake } from "./handshake.ts";

const LET_IT_PASS =
  "have what stands before the hub pass WebSockets on: HTTP/1.1, with the headers Upgrade and Connection (nginx: proxy_http_version, proxy_set_header)";

/** What a handshake says of the way: the hub's own refusals came all the way. */
export function checkHandshake(handshake: Handshake): Check {
  switch (handshake.type) {
    case "open":
      return fine("handshake", "a WebSocket opens");
    case "no answer":
      return wrong("handshake", `no answer (${handshake.reason})`, LET_IT_PASS);
    case "not a hub":
      return wrong(
        "handshake",
        `the answer is ${handshake.status}, and not the hub's`,
        LET_IT_PASS,
      );
    case "refused":
  }
  const { slug, detail } = handshake.problem;
  switch (slug) {
    case "upgrade-required":
    case "unsupported-websocket-version":
      return wrong("handshake", "something on the way drops the header Upgrade", LET_IT_PASS);
    case "not-found":
      return wrong("handshake", detail, "check the URL's path");
    case "internal":
    case "key-store-unavailable":
    case "too-many-requests":
    case "topic-unavailable":
      return wrong(
        "handshake",
        `${slug}: ${detail}`,
        "try again in a minute, and look at the hub's log",
      );
    default:
      return fine("handshake", `the hub answers (${slug})`);
  }
}

/** What the same handshake says of the topic, for somebody without a credential. */
export function checkTopic(handshake: Handshake, address: TopicAddress): Check {
  if (handshake.type === "open") return fine("topic", "open to subscribers");
  if (handshake.type !== "refused") return skipped("topic", "not seen without a handshake");
  const { slug, detail } = handshake.problem;
  const remedy = remedyFor(slug, { ...address, does: "subscribe" });
  if (slug === "token-required")
    return skipped("topic", "private: who has no token sees nothing", remedy);
  return wrong("topic", `${slug}: ${detail}`, remedy);
}
