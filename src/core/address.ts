/**
 * The address of a topic, `{domain, topic}`: its grammar (PROTOCOL.md, section 2) and the name of the
 * object that owns it. Knows nothing of keys or routes. Invariant: two addresses never share a name.
 */
import { err, ok, type Result } from "./result.ts";

/** A topic's place: decoded, checked, compared code point by code point. */
export interface Address {
  readonly domain: string;
  readonly topic: string;
}

/** Code points; the width of `apikeys.domain` in schema.sql. */
export const MAX_DOMAIN_LENGTH = 64;
/** Code points. */
export const MAX_TOPIC_LENGTH = 256;

/**
 * Decodes the two path segments of an address, once, and checks them. The error is a sentence that
 * names the part at fault and never repeats it.
 */
export function parseAddress(rawDomain: string, rawTopic: string): Result<Address> {
  const domain = parseDomain(rawDomain);
  if (!domain.ok) return domain;
  const topic = parsePart(rawTopic, "topic", MAX_TOPIC_LENGTH);
  if (!topic.ok) return topic;
  return ok({ domain: domain.value, topic: topic.value });
}

/** Decodes and checks the path segment of a domain alone. */
export function parseDomain(rawDomain: string): Result<string> {
  return parsePart(rawDomain, "domain", MAX_DOMAIN_LENGTH);
}

/**
 * The name of the object that owns an address. The domain is percent-encoded and so holds no slash:
 * the first slash always ends it, whatever the topic contains.
 */
export function objectName(address: Address): string {
  return `${encodeURIComponent(address.domain)}/${address.topic}`;
}

/** The address whose object has a name; throws on what `objectName` did not write. */
export function addressOf(name: string): Address {
  const slash = name.indexOf("/");
  if (slash < 0) throw new Error("Cannot read an object's name: it has no slash");
  return { domain: decodeURIComponent(name.slice(0, slash)), topic: name.slice(slash + 1) };
}

/** Decodes one percent-encoded path segment, once (RFC 3986, section 2.1); `null` when it is malformed. */
export function decodeSegment(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    // URIError only: a stray "%", or bytes that are not UTF-8.
    if (cause instanceof URIError) return null;
    throw cause;
  }
}

function parsePart(segment: string, part: "domain" | "topic", maxLength: number): Result<string> {
  const text = decodeSegment(segment);
  if (text === null) {
    return err(`The ${part} is not valid percent-encoded UTF-8`);
  }
  if (text === "") return err(`The ${part} is empty`);
  // URL parsers resolve dot segments, encoded ones too, so such an address could not be reached twice.
  if (text === "." || text === "..") return err(`The ${part} must not be "." or ".."`);
  if (/\p{Cc}/u.test(text)) return err(`The ${part} contains a control character`);
  if (!text.isWellFormed()) return err(`The ${part} contains a lone surrogate`);
  const length = Array.from(text).length;
  if (length > maxLength) {
    return err(`The ${part} has ${length} characters, at most ${maxLength} are allowed`);
  }
  return ok(text);
}
