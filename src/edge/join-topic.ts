/**
 * Hands an admission to the object that owns the address, on a request built afresh: the object sees
 * neither the client's URL, which may hold a key, nor its headers, which it could forge.
 */
import {
  ADMISSION_HEADER,
  formatAdmission,
  NAME_HEADER,
  parseAnswer,
  type Admission,
  type Answer,
} from "../core/admission.ts";
import { objectName, type Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import { cannotReadTokenPublishers } from "../core/version-before.ts";
import { topicStub, type StubEnv } from "../stubs.ts";

/** The 101 to return untouched, or the object's answer. */
export type Joined = { readonly type: "admitted"; readonly value: Response } | Answer;

/**
 * Asks a topic to take a socket; rejects when the object cannot be reached. One that ended meanwhile is asked once
 * more: the socket that it may have taken has ended with it.
 */
export async function joinTopic(
  env: StubEnv<"TOPIC">,
  address: Address,
  admission: Admission,
): Promise<Joined> {
  const name = objectName(address);
  const headers = {
    Upgrade: "websocket",
    [ADMISSION_HEADER]: formatAdmission(admission),
    [NAME_HEADER]: encodeURIComponent(name),
  };
  let response: Response;
  try {
    response = await askAgain(() => topicStub(env, address).fetch("https://topic/", { headers }));
  } catch (error) {
    if (!cannotReadTokenPublishers(error)) throw error;
    return { type: "refused", slug: "topic-unavailable" };
  }
  return response.status === 101
    ? { type: "admitted", value: response }
    : parseAnswer(response.headers);
}
