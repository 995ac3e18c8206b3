/** Where a request comes from, as Cloudflare says beside it: no header, so that no client can say so itself. */

/** Two characters: ISO 3166-1's, and Cloudflare's own `XX` (unknown) and `T1` (Tor). */
const COUNTRY = /^[A-Z][A-Z0-9]$/;

/** The country of a request, `null` where nobody knows it. */
export function countryOf({ cf }: Request): string | null {
  const country: unknown = cf?.["country"];
  return typeof country === "string" && COUNTRY.test(country) ? country : null;
}
