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
  type SubscriberAdmission,
} from "../core/admission.ts";
import { HEARTBEATS_MISSED, SERVICE_RESTART } from "../core/close-code.ts";
import { isTokenGrant, type Grant } from "../core/grant.ts";
import type { DatedPolicy, Policy } from "../core/policy.ts";
import { parseSince, type Since } from "../core/since.ts";
import { excessOf, transition, type TopicEvent } from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import type { Alarm } from "./alarm.ts";
import { publisherAttachment, subscriberAttachment } from "./attachment.ts";
import { isEntered, type Entrance } from "./entrance.ts";
import { newestPolicy, policyFor } from "./join-policy.ts";
import { answerWith, upgradeTo } from "./join-response.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import type { Members } from "./members.ts";
import type { OwnAddress } from "./own-address.ts";
import { Publisher } from "./publisher.ts";
import type { AcceptedSocket, Sockets } from "./sockets.ts";
import { SubscriberMember } from "./subscriber-member.ts";
import type { Vacancy } from "./vacancy.ts";

const TOPIC_FULL: Answer = { type: "refused", slug: "topic-full" };

/** The parts of a topic that a newcomer meets. */
export interface JoinedParts {
  readonly address: OwnAddress;
  readonly alarm: Alarm;
  readonly audience: Audience;
  readonly entrance: Entrance;
  readonly keyWatch: KeyWatch;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly members: Members;
  readonly sockets: Sockets;
  readonly vacancy: Vacancy;
}

/** The joins of one topic. */
export class Joins {
  readonly #parts: JoinedParts;

  constructor(parts: JoinedParts) {
    this.#parts = parts;
  }

  /** Answers an upgrade: 101, or by header why not, or what is needed. */
  async join(admission: Admission): Promise<Response> {
    const { entrance } = this.#parts;
    if (isEntered(admission)) {
      // Whoever is refused whatever the domain says leaves nothing there.
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
    const event =
      admission.role === "publisher"
        ? this.#foreseePublisher(admission, nowMs)
        : this.#subscriberConnects(admission, 0, nowMs);
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
        return this.#admitSubscriber(admission, nowMs);
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
    if (isVacant) lifecycle.closeStrangers(dated.policy);
    lifecycle.rememberLog();
    alarm.rearm();
    this.#ensureRegistered(admission.grant);
    return upgradeTo(accepted.client, admission);
  }

  #admitSubscriber(admission: SubscriberAdmission, nowMs: number): Response {
    const { audience, lifecycle, members, sockets, vacancy } = this.#parts;
    const { policy, policyAtMs, isFresh, isRechecked, grant } = admission;
    if (policy !== null && isFresh) lifecycle.adopt({ policy, atMs: policyAtMs }, isRechecked);
    const newest = policyFor(admission, lifecycle);
    const isOver = lifecycle.state.phase === "vacant" && newest?.publishers === "exclusive";
    const vanished = members.vanishedSubscribers(newest?.maxSubscribers ?? null, nowMs);
    const here = isOver ? members.leaving : members.subscribers.size - vanished.length;
    const event = this.#subscriberConnects(admission, here, nowMs);
    const { refusal } = transition(lifecycle.state, event, nowMs);
    if (refusal !== null) return answerWith(refusal);
    // Who has vanished will not answer its Close: the runtime holds it as before.
    const hasRoom = sockets.hasRoom("subscriber", members.size);
    const accepted = hasRoom ? this.#accept(admission) : null;
    if (accepted === null) return answerWith(TOPIC_FULL);
    const attachment = subscriberAttachment(admission, isOver, members.comesAtMs(nowMs));
    const newcomer = new SubscriberMember(accepted.server, attachment);
    this.#add(newcomer);
    try {
      const since = sinceOf(admission);
      if (isOver && since !== null) vacancy.read(newcomer, since, newest);
      else audience.accept(newcomer, since);
    } catch (error) {
      // The log could not be read. Nobody will ever hold the other end: no ghost is to stay behind.
      members.dismiss(newcomer.socket, SERVICE_RESTART);
      throw error;
    }
    for (const { socket } of vanished) members.dismiss(socket, HEARTBEATS_MISSED);
    lifecycle.ensureLogRemembered();
    // Its look at the log may have found that the clock was set back.
    this.#parts.alarm.rearm();
    this.#ensureRegistered(grant);
    return upgradeTo(accepted.client, admission);
  }

  #acceptPublisher(
    admission: PublisherAdmission,
    nowMs: number,
  ): { readonly client: WebSocket; readonly newcomer: Publisher } | null {
    const accepted = this.#accept(admission);
    if (accepted === null) return null;
    const { client, server } = accepted;
    const isFirst = this.#parts.members.publishers.size === 0;
    const newcomer = new Publisher(server, publisherAttachment(admission, isFirst, nowMs));
    this.#add(newcomer);
    return { client, newcomer };
  }

  /** Accepts the admitted socket for hibernation; `null` when the runtime takes no more. */
  #accept({ role, grant }: Admission): AcceptedSocket | null {
    if (role === "publisher" || grant !== null) this.#parts.address.store();
    return this.#parts.sockets.accept();
  }

  #add(newcomer: Publisher | SubscriberMember): void {
    newcomer.remember();
    this.#parts.members.add(newcomer, Date.now());
    if (newcomer.grant !== null) this.#parts.alarm.rearm();
  }

  /** Where the domain could not be reached, or another life has begun, it is told beside the handshake. */
  #ensureRegistered(grant: Grant | null): void {
    const keyId = grant?.keyId ?? null;
    this.#parts.keyWatch.ensureRegistered(keyId === null ? [] : [keyId]);
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

  #subscriberConnects(
    admission: SubscriberAdmission,
    subscribers: number,
    nowMs: number,
  ): TopicEvent {
    const { lifecycle, log } = this.#parts;
    const asksForPast = admission.since !== null && lifecycle.state.phase === "vacant";
    return {
      type: "subscriber-connects",
      policy: policyFor(admission, lifecycle),
      isGranted: admission.grant !== null,
      readsPast: asksForPast && log.hasPast(nowMs),
      subscribers,
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

/** Where a subscriber begins, `null`: with what comes now. The edge has checked it. */
function sinceOf({ since }: SubscriberAdmission): Since | null {
  if (since === null) return null;
  const parsed = parseSince(since);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
