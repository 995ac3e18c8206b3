/**
 * Whom a request is counted for when it opens nothing: one IPv4 address, or one IPv6 /64, which is one customer's.
 * One client has one name, however its address is spelled. Knows what Cloudflare vouches for and believes nothing else.
 */

/** The one address from which the requests of all Workers of other zones come (Cloudflare's http-headers). */
const ALL_WORKERS = "2a06:98c0:3600:0:0:0:0:103";
/** `::ffff:a.b.c.d`: IPv4 written as IPv6 (RFC 4291, section 2.5.5.2). */
const MAPPED = "0:0:0:0:0:ffff:";
/** `64:ff9b::a.b.c.d`: IPv4 behind a translator (RFC 6052, section 2.1). */
const TRANSLATED = "64:ff9b:0:0:0:0:";
/** Characters of a name that is no address; tests and laptops have such. */
const MAX_LENGTH = 253;

/** Names the client of a request by Cloudflare's headers, which it overwrites when a client sends them. */
export function clientNameOf(headers: Headers): string {
  const address = headers.get("CF-Connecting-IP") ?? "unknown";
  const groups = parseIpAddress(address);
  if (groups === null) return address.slice(0, MAX_LENGTH).toLowerCase();
  const text = groups.join(":");
  const zone = text === ALL_WORKERS ? headers.get("CF-Worker") : null;
  // From any other address anybody could send this header.
  if (zone !== null) return `worker ${zone.slice(0, MAX_LENGTH).toLowerCase()}`;
  const isIPv4 = text.startsWith(MAPPED) || text.startsWith(TRANSLATED);
  return isIPv4 ? formatIPv4(groups) : `${groups.slice(0, 4).join(":")}::/64`;
}

/** The eight groups of an address in lower-case hex without leading zeros, IPv4 as mapped; `null` if it is none. */
function parseIpAddress(address: string): readonly string[] | null {
  const text = address.includes(":") ? address : `::ffff:${address}`;
  // WHATWG's parser knows every spelling (URL, section 3.5), and says an address in the one of RFC 5952.
  const host = URL.parse(`http://[${text}]/`)?.hostname;
  if (host === undefined) return null;
  const [head = "", tail] = host.slice(1, -1).split("::", 2);
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after];
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}

function formatIPv4(groups: readonly string[]): string {
  const bytes = groups.slice(6).flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  return bytes.join(".");
}
