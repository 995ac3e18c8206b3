/** URLs as WebSockets want them. */

/** Names of parameters that the hub refuses: logs keep URLs (PROTOCOL.md, 3.1). */
const CREDENTIALS = /^(token|access_token|jwt|apikey|api_key|authorization)$/i;

/** What goes into a URL; what is `undefined` does not. */
export type UrlParameters = Readonly<Record<string, string | number | undefined>>;

/** Reads a URL; throws a TypeError for one that is none, or that holds a credential. */
export function parseSocketUrl(url: string | URL): URL {
  const parsed = new URL(url, globalThis.location?.href);
  parsed.protocol = parsed.protocol.replace("http", "ws");
  if (!/^wss?:$/.test(parsed.protocol)) throw new TypeError("The URL must begin with wss: or ws:");
  const names = [...parsed.searchParams.keys()];
  if (parsed.username !== "" || names.some((name) => CREDENTIALS.test(name))) {
    throw new TypeError('Credentials belong in the options "key" and "token", not in the URL');
  }
  return parsed;
}

/** A URL with parameters. */
export function withParameters(url: URL, parameters: UrlParameters): URL {
  const copy = new URL(url);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) copy.searchParams.set(name, String(value));
  }
  return copy;
}
