/**
 * A named segment of the path as it was written. Hono gives a parameter decoded, and leniently; a name is decoded once
 * and strictly (core/address.ts). Knows no routes: where a segment stands is what its route says.
 */
import type { Context } from "hono";
import { routePath } from "hono/route";

/** The segment that stands where the request's route, with all that it is mounted under, has `:name`. */
export function rawParam(c: Context, name: string): string {
  const [segment = ""] = rawParams(c, [name]);
  return segment;
}

/** The same of several names: to read a URL is what it costs. */
export function rawParams(c: Context, names: readonly string[]): string[] {
  const route = routePath(c).split("/");
  const segments = new URL(c.req.url).pathname.split("/");
  return names.map((name) => {
    const segment = segments[route.indexOf(`:${name}`)];
    if (segment === undefined) throw new Error(`The route has no parameter "${name}"`);
    return segment;
  });
}
