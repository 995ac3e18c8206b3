/**
 * A named segment of the path as it was written. Hono gives a parameter decoded, and leniently; a name is decoded once
 * and strictly (core/address.ts). Knows no routes: where a segment stands is what its route says.
 */
import type { Context } from "hono";
import { routePath } from "hono/route";

/** The segment that stands where the request's route, with all that it is mounted under, has `:name`. */
export function rawParam(c: Context, name: string): string {
  const index = routePath(c).split("/").indexOf(`:${name}`);
  const segment = new URL(c.req.url).pathname.split("/")[index];
  if (segment === undefined) throw new Error(`The route has no parameter "${name}"`);
  return segment;
}
