/** Posts to topic objects, as the edge makes them. */
import { formatAdmission, type PublisherAdmission } from "../../../src/core/admission.ts";
import type { Message } from "../../../src/core/message.ts";
import type { Policy } from "../../../src/core/policy.ts";
import { packMessages, type PostAnswer } from "../../../src/core/post.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { slugOf } from "../../support-in-workerd/post-slug.ts";
import { keyGrant } from "./grants.ts";
import { publisher } from "./sockets.ts";

/** What is posted, where it is not one text by the domain's first key. */
export interface PostOptions extends Partial<Omit<PublisherAdmission, "v" | "role" | "policy">> {
  readonly id?: string;
  readonly after?: string;
  readonly messages?: readonly Message[];
  readonly isFinish?: boolean;
}

/** Posts; answers with what the topic answers. */
export async function post(
  topic: DurableObjectStub<Topic>,
  policy: Partial<Policy> = {},
  {
    id = crypto.randomUUID(),
    after,
    messages = ["posted"],
    isFinish,
    ...options
  }: PostOptions = {},
): Promise<PostAnswer> {
  return topic.publish({
    admission: formatAdmission(publisher(policy, { grant: keyGrant(), ...options })),
    name: topic.name ?? "",
    id,
    messages: packMessages(messages),
    ...(after !== undefined && { after }),
    ...(isFinish !== undefined && { isFinish }),
  });
}

/** The same in a word: `published`, the slug of a refusal or problem, or what is needed. */
export async function postedTo(...posting: Parameters<typeof post>): Promise<string> {
  return wordOf(await post(...posting));
}

/** An answer in a word. */
export function wordOf(answer: PostAnswer): string {
  return answer.type === "published" ? answer.type : slugOf(answer);
}

/** The cursor of a post that must be published. */
export function cursorOf(answer: PostAnswer): string {
  if (answer.type !== "published") throw new Error(`Not published: ${wordOf(answer)}`);
  return answer.cursor;
}
