/**
 * Programs of this checkout speak to each other over loopback, which is never a proxy's business: it would not reach
 * this machine, and would see keys.
 */

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Excepts loopback from the proxy that the environment names, for this process and those that it starts. */
export function bypassProxyForLoopback(environment: NodeJS.ProcessEnv = process.env): void {
  // Node takes the first that is set.
  const given = environment["no_proxy"] ?? environment["NO_PROXY"] ?? "";
  if (given === "*") return;
  const exceptions = [...given.split(/[\s,]+/), ...LOOPBACK].filter((host) => host !== "");
  for (const name of ["no_proxy", "NO_PROXY"]) environment[name] = exceptions.join(",");
}
