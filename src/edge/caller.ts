/**
 * Who asks, and what a check of a credential needs beside it: passed along instead of the request, so that
 * no check sees more of it.
 */
import type { KeepAlive } from "./single-flight.ts";

/** One request's surroundings. */
export interface Caller {
  readonly env: Env;
  /** Who is counted when a credential opens nothing. */
  readonly client: string;
  readonly keepAlive: KeepAlive;
}

/** Reads them; Cloudflare sets the header and overwrites what a client sends (http-headers). */
export function callerOf(
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Caller {
  return {
    env,
    client: clientOf(request.headers.get("CF-Connecting-IP") ?? "unknown"),
    keepAlive: (work) => ctx.waitUntil(work),
  };
}

/** One IPv4 address, or the /64 of an IPv6 address, all of which is one customer's. */
function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::", 2);
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
