/**
 * The end of a topic by somebody who is not on it (PROTOCOL.md, 15.10): the operator, or the holder of a key of its
 * domain.
 */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { lacksMethod } from "../core/version-before.ts";
import { topicStub } from "../stubs.ts";
import type { Caller } from "./caller.ts";
import { OUTDATED_TOPIC } from "./topic-reports.ts";

const NOTHING_THERE: Problem = {
  slug: "topic-not-live",
  detail: "There is nothing to end: nobody publishes, and nobody waits",
};

/** Ends a topic. */
export async function endTopic(
  { env }: Caller,
  address: Address,
): Promise<Result<object, Problem>> {
  try {
    const isEnded = await askAgain(() => topicStub(env, address).end());
    return isEnded ? ok({ ...address, ended: true }) : err(NOTHING_THERE);
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    return err(OUTDATED_TOPIC);
  }
}
