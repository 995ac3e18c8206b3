/** URLs as WebSockets want them. */

/** Ends of parameters' names that the hub refuses: logs keep URLs (PROTOCOL.md, 3.1). */
const CREDENTIAL = /(token|jwt|api_?key|authorization)=/i;

/** Reads a URL; throws a TypeError for one that is none, or that holds a credential. */
export function parseSocketUrl(url: string | URL): URL {
  const parsed = new URL(url);
  parsed.protocol = parsed.protocol.replace("http", "ws");
  if (CREDENTIAL.test(parsed.search)) throw new TypeError("A credential is an option");
  return parsed;
}
