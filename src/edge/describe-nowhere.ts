/**
 * What is said of a path where there is nothing: which paths there are, and how a name with a slash is written.
 * Invariant: of the path nothing is repeated but the segments of a topic, since elsewhere a key may stand.
 */
import { parseAddress } from "../core/address.ts";

const SOCKETS =
  "Connect to /ws/pub/Domain/Topic, /ws/pub/ApiKey/Domain/Topic or /ws/sub/Domain/Topic";
const CLIENT =
  "The client library is at /client.js. This hub has another version of it than the one asked for";
const TOPICS = "Topics are at /v1/domains/Domain/topics and /v1/domains/Domain/topics/Topic";

/** Characters of a topic, percent-encoded, that are repeated. */
const MAX_REPEATED_LENGTH = 256;

/** The detail of a `not-found`. */
export function describeNowhere(pathname: string): string {
  if (pathname.startsWith("/client-")) return CLIENT;
  const [, root, kind, ...rest] = pathname.split("/");
  switch (`${root}/${kind}`) {
    case "ws/sub":
      return SOCKETS + describeSlash(rest.slice(1), (topic) => `/ws/sub/Domain/${topic}`);
    case "ws/pub":
      // The first may be a key, and the next a domain or a part of the topic: none of them is repeated.
      return SOCKETS + describeSlash(rest.slice(1), () => "/ws/pub/Domain/part%2Fpart");
    case "v1/domains": {
      if (rest[1] !== "topics") return TOPICS;
      const [, end] = /\/(sockets|tickets|messages)$/.exec(pathname) ?? [];
      const parts = end === undefined ? rest.slice(2) : rest.slice(2, -1);
      const path = (topic: string): string =>
        `/v1/domains/Domain/topics/${topic}${end === undefined ? "" : `/${end}`}`;
      return TOPICS + describeSlash(parts, path);
    }
    default:
      return SOCKETS;
  }
}

/** How to write a topic that came in several segments; nothing where it came in one. */
function describeSlash(parts: readonly string[], path: (topic: string) => string): string {
  if (parts.length < 2) return "";
  if (parts.at(-1) === "") return ", without a slash at the end";
  const topic = parts.join("%2F");
  const isGood = topic.length <= MAX_REPEATED_LENGTH && parseAddress("any", topic).ok;
  return `. A slash within a name is written %2F: ${path(isGood ? topic : "part%2Fpart")}`;
}
