/** What to do about a refusal, by its slug (PROTOCOL.md, 4.1, 8.1, 10.11). Knows the commands, not the sockets. */
import { lastArgument, shellQuote } from "../output/shell-quote.ts";

/** What a refused command was about. */
export interface Attempt {
  readonly domain: string;
  readonly topic: string;
  readonly does: "publish" | "subscribe";
}

/** The details that speak to programs, in words for a command line. */
const DETAILS: ReadonlyMap<string, string> = new Map([
  ["key-required", "publishing takes a key or a token"],
  ["token-required", "the domain is private"],
  ["publisher-conflict", "another publisher is there"],
  ["topic-not-live", "nobody publishes to the topic"],
  ["topic-shared", "a topic of a shared domain has no end"],
]);

/** What the hub said no to, why, and what to do, in one line. */
export function describeRefusal(
  { slug, detail }: { readonly slug: string; readonly detail: string },
  attempt: Attempt,
): string {
  const remedy = remedyFor(slug, attempt);
  const what = `The hub refused (${slug}): ${DETAILS.get(slug) ?? detail}`;
  return remedy === null ? what : `${what}. ${upperFirst(remedy)}`;
}

/** A clause that tells what to do, `null` where nothing is known that helps. */
export function remedyFor(slug: string, { domain, topic, does }: Attempt): string | null {
  const name = lastArgument(domain);
  const publish = does === "publish" ? " --publish" : "";
  const mint = `wspubsub tokens mint ${shellQuote(domain)} --topic ${shellQuote(topic)}${publish}`;
  switch (slug) {
    case "key-required":
      return "set WSPUBSUB_KEY, or give --key-file";
    case "key-rejected":
      return `see which keys the domain has: wspubsub keys list ${name}`;
    case "token-required":
    case "token-expired":
      return `get a token: ${mint}`;
    case "token-rejected":
      return `get a token for this topic: ${mint}`;
    case "token-lacks-publish":
      return `get a token that may publish: ${mint}`;
    case "token-lacks-subscribe":
      return `get a token that may subscribe: ${mint}`;
    case "token-publishers-off":
      return `let tokens publish: wspubsub domains set ${shellQuote(domain)} --token-publishers true`;
    case "topic-not-live":
      return "start it with wspubsub pub, or wait for it";
    case "publisher-conflict":
      return `displace it with --takeover, or let many publish: wspubsub domains set ${shellQuote(domain)} --publishers shared`;
    case "publisher-displaced":
      return "only one publishes in an exclusive domain";
    case "topic-shared":
      return "leave --finish out";
    case "too-many-requests":
      return "wait a minute";
    case "key-store-unavailable":
      return "look at the hub's database: wspubsub doctor";
    case "not-found":
      return "check HUB_URL";
    default:
      return null;
  }
}

function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
