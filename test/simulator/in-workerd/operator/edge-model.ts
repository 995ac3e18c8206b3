/**
 * Does what the edge does for a handshake (src/edge/admit.ts): says what a cache or the key store knows, and asks the
 * key store anew where the topic needs that.
 */
import type {
  Admission,
  PublisherAdmission,
  SubscriberAdmission,
} from "../../../../src/core/admission.ts";
import { STREAM_PROTOCOL } from "../../../../src/core/stream.ts";
import type { TopicHandle } from "../topic-handle.ts";
import type { Join } from "./actions.ts";
import type { KeyAnswer, KeyStoreModel, PolicyAnswer } from "./key-store-model.ts";

/** As in the edge. */
const MAX_TURNS = 4;
/** How long a token holds. */
const TOKEN_SECONDS = 100;

/** What came of a handshake: a socket or why there is none, and what was said last. */
export interface Outcome {
  readonly answer: WebSocket | string;
  readonly said: Admission | null;
}

/** Who comes, and what is known of it. */
interface Handshake {
  readonly wish: Join;
  readonly store: KeyStoreModel;
  readonly tokenEndsMs: number;
}

/** Asks a topic until it takes the socket or does not. */
export async function admit(
  topic: TopicHandle,
  wish: Join,
  store: KeyStoreModel,
): Promise<Outcome> {
  const handshake = { wish, store, tokenEndsMs: Date.now() + TOKEN_SECONDS * 1000 };
  let said = prepare(handshake, false);
  for (let turn = 1; typeof said !== "string"; turn++) {
    const answer = await topic.connect(said);
    if (answer !== "needs policy" && answer !== "needs recheck") return { answer, said };
    if (turn === MAX_TURNS) return { answer: "endless", said };
    // A publisher's policy came with its key: whoever needs it needs a newer one.
    said =
      answer === "needs policy" && said.role === "subscriber"
        ? addPolicy(handshake, said)
        : prepare(handshake, true);
  }
  return { answer: said, said: null };
}

/** What is said, or why nothing can be. */
function prepare(handshake: Handshake, isAnew: boolean): Admission | string {
  const { wish, tokenEndsMs } = handshake;
  const subprotocol = STREAM_PROTOCOL;
  if (wish.type === "publisher") {
    const found = findKey(handshake, wish.key, isAnew);
    if (typeof found === "string") return found;
    return {
      v: 1,
      role: "publisher",
      subprotocol,
      takeover: wish.takeover,
      heartbeatSeconds: null,
      isKeyInPath: false,
      isRechecked: isAnew,
      ...found,
    };
  }
  const since = wish.since === "now" ? null : wish.since;
  const own = {
    v: 1,
    role: "subscriber",
    subprotocol,
    since,
    gap: "skip",
    isRechecked: isAnew,
  } as const;
  if (wish.by === "nobody" && !isAnew) {
    return { ...own, policy: null, policyAtMs: 0, grant: null, isFresh: false };
  }
  if (typeof wish.by === "number") {
    const found = findKey(handshake, wish.by, isAnew);
    return typeof found === "string" ? found : { ...own, ...found };
  }
  const found = findPolicy(handshake, isAnew);
  if (found === null) return "key-store-unavailable";
  const { policy, atMs, isFresh } = found;
  const grant =
    wish.by === "nobody"
      ? null
      : { keyId: null, subject: "someone", expiresAtMs: tokenEndsMs, checkedAtMs: atMs };
  return { ...own, policy, policyAtMs: atMs, grant, isFresh };
}

function addPolicy(handshake: Handshake, said: SubscriberAdmission): Admission | string {
  const found = findPolicy(handshake, false);
  if (found === null) return "key-store-unavailable";
  const { policy, atMs } = found;
  const isFresh = found.isFresh && (said.grant === null || said.isFresh);
  return { ...said, policy, policyAtMs: atMs, isFresh };
}

type CheckedKey = Pick<PublisherAdmission, "policy" | "policyAtMs" | "grant" | "isFresh">;

function findKey({ wish, store }: Handshake, keyId: number, isAnew: boolean): CheckedKey | string {
  if (!isAnew && wish.cachedSeconds !== null) {
    const readMs = store.nowMs - wish.cachedSeconds * 1000;
    const atMs = readMs + lagOf(wish);
    const key = { ...store.keyAt(keyId, readMs), atMs };
    const checked = check(key, { ...store.policyAt(readMs), atMs }, keyId, false);
    const endMs = checked?.grant?.expiresAtMs ?? Infinity;
    // What opens nothing is not kept, and what is over is asked for again.
    if (checked !== null && endMs > Date.now()) return checked;
  }
  if (!store.isUp) return "key-store-unavailable";
  const { keys, policy } = store.ask([keyId]);
  const [key] = keys;
  return (key && check(key, policy, keyId, true)) ?? "denied";
}

function check(
  { standing, atMs }: KeyAnswer,
  { policy }: PolicyAnswer,
  keyId: number,
  isFresh: boolean,
): CheckedKey | null {
  if (standing.type === "dead") return null;
  const { expiresAtMs } = standing;
  const grant = { keyId, subject: null, expiresAtMs, checkedAtMs: atMs };
  return { policy, policyAtMs: atMs, grant, isFresh };
}

function findPolicy(
  { wish, store }: Handshake,
  isAnew: boolean,
): (PolicyAnswer & { readonly isFresh: boolean }) | null {
  if (!isAnew && wish.cachedSeconds !== null) {
    const readMs = store.nowMs - wish.cachedSeconds * 1000;
    return { ...store.policyAt(readMs), atMs: readMs + lagOf(wish), isFresh: false };
  }
  return store.isUp ? { ...store.askPolicy(), isFresh: true } : null;
}

/** No answer is dated later than it came. */
function lagOf({ cachedSeconds, lagMs }: Join): number {
  return Math.min(lagMs, (cachedSeconds ?? 0) * 1000);
}
