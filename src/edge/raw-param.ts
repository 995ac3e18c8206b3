/**
 * A named segment of the path as it was written. Hono gives a parameter decoded, and leniently; a name is decoded once
 * and strictly (core/address.ts). Knows no routes: where a segment stands is what its route says.
 */
import type { Context } from "hono";
import { routePath } from "hono/route";

/** A URL whose path a parser would leave as it is, since it has nothing in it that is encoded, a dot or foreign. */
const PLAIN = /^https?:\/\/[^/?#\\]+(\/[\w/:=@,;+!$&'()*~-]*)(?:\?|$)/;

/** The segment that stands where the request's route, with all that it is mounted under, has `:name`. */
export function rawParam(c: Context, name: string): string {
  const [segment = ""] = rawParams(c, [name]);
  return segment;
}

/** The same of several names. */
export function rawParams(c: Context, names: readonly string[]): string[] {
  const route = routePath(c).split("/");
  const segments = pathOf(c.req.url).split("/");
  return names.map((name) => {
    const segment = segments[route.indexOf(`:${name}`)];
    if (segment === undefined) throw new Error(`The route has no parameter "${name}"`);
    return segment;
  });
}

/** The path of an absolute URL, as a parser gives it: to see that there is nothing to parse takes less than to parse. */
export function pathOf(url: string): string {
  return PLAIN.exec(url)?.[1] ?? new URL(url).pathname;
}
