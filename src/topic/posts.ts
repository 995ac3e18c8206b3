/**
 * Posts: what is published by HTTP. Each is a publisher that comes, publishes and leaves in one step: it displaces
 * nobody and takes nobody's place (PROTOCOL.md, section 17). Knows neither HTTP nor sockets.
 * Invariant: a repeated id begins nothing, and is refused for nothing that has come since.
 */
import {
  parseAdmission,
  refusalOfEnded,
  type Answer,
  type PublisherAdmission,
} from "../core/admission.ts";
import type { PublisherFrame } from "../core/client-frame.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { isTokenGrant } from "../core/grant.ts";
import type { DatedPolicy, Policy } from "../core/policy.ts";
import { unpackMessages, type Post, type PostAnswer } from "../core/post.ts";
import type { Problem } from "../core/problem.ts";
import { transition, type Transition } from "../core/topic-state.ts";
import { isEntered, type Entrance } from "./entrance.ts";
import { newestPolicy } from "./join-policy.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import type { Members } from "./members.ts";
import { ownerOf, type Owner } from "./owner.ts";
import {
  tooManyMessages,
  TOO_MANY_UNANSWERED,
  type Publishes,
  type PublishRules,
  type TakenPublish,
} from "./publishes.ts";
import { MAX_IDS_EACH } from "./recent-ids.ts";

/** The parts of a topic that a post meets. */
export interface PostedParts {
  readonly entrance: Entrance;
  readonly keyWatch: KeyWatch;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly members: Members;
  readonly publishes: Publishes;
}

/** What was decided: where it will be, or why not. */
type Decided =
  | {
      readonly type: "taken";
      readonly cursor: Promise<Cursor>;
      /** How many were there before the end, where it was one. */
      readonly leaving?: number;
    }
  | Exclude<PostAnswer, { readonly type: "published" }>;

/** The posts of one topic. */
export class Posts {
  readonly #parts: PostedParts;
  /** How many of each owner wait for their answer; of those that have any. */
  readonly #unanswered: Map<Owner, number> = new Map();

  /** The last admission, as it was written and as it was read. */
  #last: { readonly text: string; readonly admission: PublisherAdmission } | null = null;

  constructor(parts: PostedParts) {
    this.#parts = parts;
  }

  /** Takes a post; answers when an ack would be given. */
  async publish({
    admission: text,
    id,
    after,
    messages,
    isFinish = false,
  }: Post): Promise<PostAnswer> {
    const admission = this.#read(text);
    const publish: PublisherFrame = {
      type: isFinish ? "finish" : "publish",
      id,
      messages: unpackMessages(messages),
      ...(after !== undefined && { after }),
    };
    const decided = await this.#decide(admission, publish);
    if (decided.type !== "taken") return decided;
    const cursor = formatCursor(await decided.cursor);
    const subscribers = decided.leaving ?? this.#parts.members.subscribers.size;
    return { type: "published", cursor, count: publish.messages.length, subscribers };
  }

  /** Posts of one client say the same of it, and reading that costs as much as all that is done about it. */
  #read(text: string): PublisherAdmission {
    if (this.#last?.text === text) return this.#last.admission;
    const admission = parseAdmission(text);
    if (admission.role !== "publisher") throw new Error("Cannot publish as a subscriber");
    this.#last = { text, admission };
    return admission;
  }

  async #decide(admission: PublisherAdmission, publish: PublisherFrame): Promise<Decided> {
    // Of a key the domain may know a later end.
    const ended = isTokenGrant(admission.grant)
      ? refusalOfEnded(admission.grant, Date.now())
      : null;
    if (ended !== null) return ended;
    this.#parts.lifecycle.passTime();
    const known = this.#mayBeDead(admission) ? null : this.#answerRepeated(admission, publish);
    if (known !== null) return known;
    if (isEntered(admission)) {
      // A post that is refused whatever the domain says leaves nothing there.
      const { policy, policyAtMs: atMs } = admission;
      const { refusal } = this.#comes(admission, { policy, atMs }, Date.now());
      if (refusal?.type === "refused") return refusal;
      if (this.#endsNothing(publish, policy)) return NOT_LIVE;
    }
    return this.#parts.entrance.enter<Decided>(admission, (judged) =>
      judged.role === "publisher" ? this.#admit(judged, publish) : TOPIC_UNAVAILABLE,
    );
  }

  /** Whether it was heard that its key may have ended. */
  #mayBeDead({ grant, isRechecked }: PublisherAdmission): boolean {
    const keyId = grant?.keyId ?? null;
    if (grant === null || keyId === null) return false;
    return this.#parts.keyWatch.judge(grant, keyId, isRechecked).type !== "good";
  }

  /** Decides without a pause; all that can be refused comes before anything begins. */
  #admit(admission: PublisherAdmission, publish: PublisherFrame): Decided {
    const { entrance, keyWatch, lifecycle, log, members, publishes } = this.#parts;
    const nowMs = Date.now();
    const ended = refusalOfEnded(admission.grant, nowMs);
    if (ended !== null) return ended;
    lifecycle.passTime(nowMs);
    // The same may have been posted while the domain was asked.
    const known = this.#answerRepeated(admission, publish);
    if (known !== null) return known;
    const dated = newestPolicy(admission, lifecycle, log);
    if (dated === null) return { type: "needs", what: "recheck" };
    // It holds for those who are there, whatever becomes of this one.
    lifecycle.adopt(dated, true);
    const { state, refusal } = this.#comes(admission, dated, nowMs);
    if (refusal !== null) return refusal;
    const { policy } = dated;
    const owner = ownerOf(admission.grant);
    if ((this.#unanswered.get(owner) ?? 0) >= MAX_IDS_EACH) return unpublished(TOO_MANY_UNANSWERED);
    const judged = publishes.judge(owner, publish, policy);
    if (judged.type === "refused") return unpublished(judged.problem);
    if (this.#endsNothing(publish, policy)) return NOT_LIVE;
    const overRate = this.#spend(owner, publish.messages.length, policy, nowMs);
    if (overRate !== null) return unpublished(overRate);
    const isVacant = lifecycle.state.phase === "vacant";
    const { promise, resolve } = Promise.withResolvers<Cursor>();
    keyWatch.lookIfDue(nowMs);
    const here = members.subscribers.size + members.waiting.size;
    const leaving = judged.isFinish ? { leaving: here } : {};
    lifecycle.post(state, dated, {
      publish: () => this.#take(owner, judged, resolve),
      isFinish: judged.isFinish,
    });
    if (isVacant) entrance.lifeBegan();
    const keyId = admission.grant?.keyId ?? null;
    // Of a life that is over by now the domain is to know nothing.
    if (lifecycle.life !== null) keyWatch.ensureRegistered(keyId === null ? [] : [keyId]);
    return { type: "taken", cursor: promise, ...leaving };
  }

  /** Answers who repeats an id, before anything is asked or begun; `null`: it is new. */
  #answerRepeated({ grant }: PublisherAdmission, publish: PublisherFrame): Decided | null {
    const owner = ownerOf(grant);
    const { publishes } = this.#parts;
    if (publishes.find(owner, publish.id) === null) return null;
    const judged = publishes.judge(owner, publish, ANY);
    if (judged.type === "refused") return unpublished(judged.problem);
    if (judged.type === "new") return null;
    const { cursor } = judged.outcome;
    if (cursor !== null) return { type: "taken", cursor: Promise.resolve(cursor) };
    if ((this.#unanswered.get(owner) ?? 0) >= MAX_IDS_EACH) return unpublished(TOO_MANY_UNANSWERED);
    const { promise, resolve } = Promise.withResolvers<Cursor>();
    this.#take(owner, judged, resolve);
    return { type: "taken", cursor: promise };
  }

  #take(owner: Owner, judged: TakenPublish, answer: (cursor: Cursor) => void): void {
    this.#unanswered.set(owner, (this.#unanswered.get(owner) ?? 0) + 1);
    this.#parts.publishes.take(judged, (cursor) => {
      const others = (this.#unanswered.get(owner) ?? 1) - 1;
      if (others > 0) this.#unanswered.set(owner, others);
      else this.#unanswered.delete(owner);
      answer(cursor);
    });
  }

  /** Whether it says that nothing follows, of a topic that nobody has begun, and nothing else. */
  #endsNothing({ type, messages }: PublisherFrame, { publishers }: Policy): boolean {
    const isVacant = this.#parts.lifecycle.state.phase === "vacant";
    return isVacant && publishers === "exclusive" && type === "finish" && messages.length === 0;
  }

  /** What its coming means for the topic. */
  #comes({ grant }: PublisherAdmission, { policy, atMs }: DatedPolicy, nowMs: number): Transition {
    const { entrance, lifecycle, members } = this.#parts;
    const event = {
      type: "post",
      policy,
      policyAtMs: atMs,
      life: entrance.nextLife,
      isByToken: isTokenGrant(grant),
      publishers: members.publishers.size,
    } as const;
    return transition(lifecycle.state, event, nowMs);
  }

  /** Why there are too many messages of an owner's, `null` while there are not. */
  #spend(owner: Owner, count: number, policy: Policy, nowMs: number): Problem | null {
    const { messagesPerSecond } = policy;
    if (messagesPerSecond === null) return null;
    const { publishers } = this.#parts.members;
    const verdict = publishers.spend(owner, count, messagesPerSecond, nowMs);
    return verdict.type === "within" ? null : tooManyMessages(policy, verdict);
  }
}

/** What is known already was taken by the rules of its time. */
const ANY: PublishRules = { maxMessageBytes: Infinity, publishers: "exclusive" };

const NOT_LIVE: Answer = { type: "refused", slug: "topic-not-live" };
const TOPIC_UNAVAILABLE: Answer = { type: "refused", slug: "topic-unavailable" };

function unpublished(problem: Problem): Decided {
  return { type: "unpublished", problem };
}
