/**
 * The client that asks, and what a check of a credential needs beside it: passed along instead of the request, so that
 * no check sees more of it.
 */
import { clientNameOf } from "./client-name.ts";
import { countryOf } from "./country.ts";
import type { KeepAlive } from "./single-flight.ts";

/** One request's surroundings. */
export interface Caller {
  readonly env: Env;
  /** The client that is counted when a credential opens nothing. */
  readonly client: string;
  /** Where it is, `null` where nobody knows. */
  readonly country: string | null;
  readonly keepAlive: KeepAlive;
}

/** Reads them. */
export function callerOf(
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Caller {
  return callerIn(countryOf(request), request, env, ctx);
}

/** The same of who posts: no socket stays of which anybody would ask where it is, and to look costs as much as a check. */
export function posterOf(
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Caller {
  return callerIn(null, request, env, ctx);
}

function callerIn(
  country: string | null,
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Caller {
  let client: string | null = null;
  return {
    env,
    // Parsed where it is asked for: most requests are of no client that anybody counts.
    get client(): string {
      return (client ??= clientNameOf(request.headers));
    },
    country,
    keepAlive: (work) => ctx.waitUntil(work),
  };
}
