/**
 * Joins: decides on every socket that the edge has admitted, by the topic's state, its policy and what was heard of
 * its key, and takes it in. Knows no frames.
 * Invariant: from the decision to the 101 without a pause, and a newcomer is in wholly or not at all.
 */
import {
  refusalOfEnded,
  type Admission,
  type Answer,
  type PublisherAdmission,
} from "../core/admission.ts";
import { isTokenGrant } from "../core/grant.ts";
import type { DatedPolicy, Policy } from "../core/policy.ts";
import { excessOf, transition, type TopicEvent } from "../core/topic-state.ts";
import { publisherAttachment } from "./attachment.ts";
import { isEntered, type Entrance } from "./entrance.ts";
import { newestPolicy } from "./join-policy.ts";
import { answerWith, TOPIC_FULL, upgradeTo } from "./join-response.ts";
import { Newcomers } from "./newcomers.ts";
import { Publisher } from "./publisher.ts";
import { SubscriberJoins, type SubscribedParts } from "./subscriber-joins.ts";

/** The parts of a topic that a newcomer meets. */
export interface JoinedParts extends SubscribedParts {
  readonly entrance: Entrance;
}

/** The joins of one topic. */
export class Joins {
  readonly #newcomers: Newcomers;
  readonly #parts: JoinedParts;
  readonly #subscribers: SubscriberJoins;

  constructor(parts: JoinedParts) {
    this.#parts = parts;
    this.#newcomers = new Newcomers(parts);
    this.#subscribers = new SubscriberJoins(parts);
  }

  /** Answers an upgrade: 101, or by header why not, or what is needed. */
  async join(admission: Admission): Promise<Response> {
    const { entrance } = this.#parts;
    if (isEntered(admission)) {
      // A join that is refused whatever the domain says leaves nothing there.
      const foreseen = this.#foresee(admission);
      if (foreseen !== null) return answerWith(foreseen);
    }
    const answer = await entrance.enter(admission, (judged) => this.#admit(judged));
    return answer instanceof Response ? answer : answerWith(answer);
  }

  /** Why a join is refused, whatever its key is worth and whoever makes room; `null`: it may be admitted. */
  #foresee(admission: Admission): Answer | null {
    const nowMs = Date.now();
    // Of a key the domain may know a later end.
    const ended = isTokenGrant(admission.grant) ? refusalOfEnded(admission.grant, nowMs) : null;
    if (ended !== null) return ended;
    this.#parts.lifecycle.passTime(nowMs);
    if (admission.role === "subscriber") return this.#subscribers.foresee(admission, nowMs);
    const event = this.#foreseePublisher(admission, nowMs);
    const { refusal } = transition(this.#parts.lifecycle.state, event, nowMs);
    return refusal?.type === "refused" ? refusal : null;
  }

  #foreseePublisher(admission: PublisherAdmission, nowMs: number): TopicEvent {
    const silent = this.#silentPublishers(admission, admission.policy, nowMs);
    const dated = { policy: admission.policy, atMs: admission.policyAtMs };
    return this.#publisherConnects(admission, dated, silent.length);
  }

  /** Decides on a join; without a pause, so that what is decided is done before anything else happens. */
  #admit(admission: Admission): Response {
    const nowMs = Date.now();
    const ended = refusalOfEnded(admission.grant, nowMs);
    if (ended !== null) return answerWith(ended);
    this.#parts.lifecycle.passTime(nowMs);
    switch (admission.role) {
      case "publisher":
        return this.#admitPublisher(admission, nowMs);
      case "subscriber":
        return this.#subscribers.admit(admission, nowMs);
    }
  }

  #admitPublisher(admission: PublisherAdmission, nowMs: number): Response {
    const { alarm, lifecycle, log, members, sockets } = this.#parts;
    const dated = newestPolicy(admission, lifecycle, log);
    if (dated === null) return answerWith({ type: "needs", what: "recheck" });
    // It holds for those who are there, whatever becomes of this one.
    lifecycle.adopt(dated, true);
    const isVacant = lifecycle.state.phase === "vacant";
    const silent = this.#silentPublishers(admission, dated.policy, nowMs);
    const event = this.#publisherConnects(admission, dated, silent.length);
    const { state, effects, refusal } = transition(lifecycle.state, event, nowMs);
    if (refusal !== null) return answerWith(refusal);
    const isTakenOver = effects.some(({ type }) => type === "displace-publishers");
    const displaced = isTakenOver
      ? [...members.publishers.keys()]
      : silent.map(({ socket }) => socket);
    if (!sockets.hasRoom("publisher", members.size - displaced.length)) {
      return answerWith(TOPIC_FULL);
    }
    // All that can fail comes first: then nobody was dismissed, and the topic is as it was.
    log.configure(dated.policy, dated.atMs);
    const accepted = lifecycle.beginWith(state, () => this.#acceptPublisher(admission, nowMs));
    if (accepted === null) return answerWith(TOPIC_FULL);
    if (isVacant) this.#parts.entrance.lifeBegan();
    lifecycle.displace(displaced);
    // It may have displaced the one whose rate it goes on with.
    members.publishers.begin(accepted.newcomer, nowMs);
    if (isVacant) lifecycle.welcome(dated.policy);
    lifecycle.rememberLog();
    alarm.rearm();
    this.#newcomers.ensureRegistered(admission.grant);
    return upgradeTo(accepted.client, admission);
  }

  #acceptPublisher(
    admission: PublisherAdmission,
    nowMs: number,
  ): { readonly client: WebSocket; readonly newcomer: Publisher } | null {
    const accepted = this.#newcomers.accept(admission);
    if (accepted === null) return null;
    const { client, server } = accepted;
    const isFirst = this.#parts.members.publishers.size === 0;
    const newcomer = new Publisher(server, publisherAttachment(admission, isFirst, nowMs));
    this.#newcomers.add(newcomer);
    return { client, newcomer };
  }

  /** A publisher comes, while so many of those that are there are silent. */
  #publisherConnects(
    { takeover, isKeyInPath, grant }: PublisherAdmission,
    { policy, atMs }: DatedPolicy,
    silent: number,
  ): TopicEvent {
    const { publishers } = this.#parts.members;
    const { size } = publishers;
    return {
      type: "publisher-connects",
      policy,
      policyAtMs: atMs,
      life: this.#parts.entrance.nextLife,
      takeover,
      isKeyInPath,
      isByToken: isTokenGrant(grant),
      mayDisplace: publishers.values().every((member) => member.yieldsTo(grant)),
      incumbentSilent: silent === size,
      publishers: size - silent,
    };
  }

  /** Publishers that missed their heartbeats, as many as must make room for a newcomer, or fewer. */
  #silentPublishers(
    { grant }: PublisherAdmission,
    { publishers, maxPublishers }: Policy,
    nowMs: number,
  ): Publisher[] {
    const { members } = this.#parts;
    const here = members.publishers.size;
    const excess = publishers === "exclusive" ? here : excessOf(here, maxPublishers);
    return members.silentPublishers(excess, grant, nowMs);
  }
}
