/** The forgetting of a topic's messages (PROTOCOL.md, 15.11): what the operator has done, and nobody else. */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { lacksMethod } from "../core/version-before.ts";
import { topicStub } from "../stubs.ts";
import type { Caller } from "./caller.ts";
import { OUTDATED_TOPIC } from "./topic-reports.ts";

/** Has a topic forget what was published. */
export async function forgetMessages(
  { env }: Caller,
  address: Address,
): Promise<Result<object, Problem>> {
  try {
    const messages = await askAgain(() => topicStub(env, address).forgetMessages());
    return ok({ ...address, messages });
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    return err(OUTDATED_TOPIC);
  }
}
