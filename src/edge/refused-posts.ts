/**
 * Counts posts by tokens that were refused, by client. Not those by keys: what opens nothing is counted as such, and a
 * good key is its domain's own.
 */
import { PROBLEMS, type Problem } from "../core/problem.ts";
import { err, type Result } from "../core/result.ts";
import type { Caller } from "./caller.ts";
import { ClientLimit } from "./client-limit.ts";
import type { Credential } from "./credential.ts";

const limit = new ClientLimit("REFUSED_POSTS");

const TOO_MANY_POSTS: Problem = {
  slug: "too-many-requests",
  detail: "Too many posts by tokens that were refused came from this address: wait a minute",
};

/** Posts, and counts it if it was refused for what it is. Posts not, where there were too many. */
export async function countRefusedPost<T>(
  credential: Credential,
  caller: Caller,
  post: () => Promise<Result<T, Problem>>,
): Promise<Result<T, Problem>> {
  if (credential.type === "key") return post();
  if (limit.isOver(caller)) return err(TOO_MANY_POSTS);
  const posted = await post();
  // Beyond, it is the hub that is at fault, or has no room.
  if (!posted.ok && PROBLEMS[posted.error.slug].status < 500) await limit.count(caller);
  return posted;
}
