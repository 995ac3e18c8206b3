/** The domain and the topic that a route under /v1 names, as `:domain` and `:topic`. */
import type { Context } from "hono";
import { parseAddress, parseDomain, type Address } from "../core/address.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { rawParam, rawParams } from "./raw-param.ts";

/** Reads the domain. */
export function parseDomainParam(c: Context): Result<string, Problem> {
  const domain = parseDomain(rawParam(c, "domain"));
  return domain.ok ? domain : err({ slug: "invalid-address", detail: domain.error });
}

/** Reads both. */
export function parseAddressParams(c: Context): Result<Address, Problem> {
  const [domain = "", topic = ""] = rawParams(c, ["domain", "topic"]);
  const address = parseAddress(domain, topic);
  return address.ok ? ok(address.value) : err({ slug: "invalid-address", detail: address.error });
}
