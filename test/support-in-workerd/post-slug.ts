/** Why a post was not published, in a word. */
import type { PostAnswer } from "../../src/core/post.ts";

/** The slug of a refusal or a problem, or what is needed. */
export function slugOf(answer: Exclude<PostAnswer, { readonly type: "published" }>): string {
  switch (answer.type) {
    case "unpublished":
      return answer.problem.slug;
    case "refused":
      return answer.slug;
    case "needs":
      return `needs ${answer.what}`;
  }
}
