/** URLs as WebSockets want them. */

/** Ends of parameters' names that the hub refuses: logs keep URLs (PROTOCOL.md, 3.1). */
const CREDENTIAL = /(token|jwt|api_?key|authorization)=/i;

/** What goes into a URL; what is `undefined` or 0 does not. */
export type UrlParameters = Readonly<Record<string, string | number | undefined>>;

/** Reads a URL; throws a TypeError for one that is none, or that holds a credential. */
export function parseSocketUrl(url: string | URL): URL {
  const parsed = new URL(url, globalThis.location?.href);
  parsed.protocol = parsed.protocol.replace("http", "ws");
  if (CREDENTIAL.test(parsed.search)) throw new TypeError("Credentials belong in the options");
  return parsed;
}

/** The same with parameters. */
export function withParameters(url: URL, parameters: UrlParameters): URL {
  const copy = new URL(url);
  for (const [name, value] of Object.entries(parameters)) {
    if (value) copy.searchParams.set(name, `${value}`);
  }
  return copy;
}
