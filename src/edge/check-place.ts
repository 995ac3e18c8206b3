/** Whether objects may be asked at all: where they are set to lie is checked before any is. */
import { parseConfig } from "../core/config.ts";
import { parsePlace } from "../core/place.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";

/** Says all that is wrong with the configuration where the place of objects is. */
export function checkPlace(env: Env): Result<null, Problem> {
  const place = parsePlace(env);
  if (place.ok) return ok(null);
  const config = parseConfig(env);
  const detail = (config.ok ? place.error : config.error).join("; ");
  logError({ event: "configuration-invalid", faults: detail });
  return err({ slug: "topic-unavailable", detail });
}
