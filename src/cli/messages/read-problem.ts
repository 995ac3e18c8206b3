/** A refusal of the hub's as plain HTTP has it (RFC 9457; PROTOCOL.md, 4.1). */
import * as v from "valibot";

/** What of it a command tells. */
export interface ToldProblem {
  readonly slug: string;
  readonly detail: string;
}

const PREFIX = "urn:wspubsub:problem:";

const Schema = v.object({ type: v.pipe(v.string(), v.startsWith(PREFIX)), detail: v.string() });

/** Reads one, `null` for what no hub says. */
export function readProblem(body: unknown): ToldProblem | null {
  const problem = v.safeParse(Schema, body);
  if (!problem.success) return null;
  return { slug: problem.output.type.slice(PREFIX.length), detail: problem.output.detail };
}
