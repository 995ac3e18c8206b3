/**
 * The joins of subscribers: to what is published, to what is kept of a life that is over, or to wait for a life.
 * Knows no frames.
 * Invariant: from the decision to the 101 without a pause, and a newcomer is in wholly or not at all.
 */
import type { Answer, SubscriberAdmission } from "../core/admission.ts";
import { HEARTBEATS_MISSED, SERVICE_RESTART } from "../core/close-code.ts";
import { checkedSince } from "../core/since.ts";
import { transition } from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import { subscriberAttachment } from "./attachment.ts";
import { policyFor } from "./join-policy.ts";
import { answerWith, TOPIC_FULL, upgradeTo } from "./join-response.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import { Newcomers, type NewcomerParts } from "./newcomers.ts";
import { SubscriberMember } from "./subscriber-member.ts";
import type { Vacancy } from "./vacancy.ts";
import { waitingNewcomer } from "./waiting-room.ts";

const TOO_MANY_WAITING: Answer = { type: "refused", slug: "too-many-waiting" };

/** The parts of a topic that a subscriber meets. */
export interface SubscribedParts extends NewcomerParts {
  readonly audience: Audience;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly vacancy: Vacancy;
}

/** What it comes for. */
type Purpose = "the present" | "the past" | "a start";

/** The joins of one topic's subscribers. */
export class SubscriberJoins {
  readonly #newcomers: Newcomers;
  readonly #parts: SubscribedParts;

  constructor(parts: SubscribedParts) {
    this.#parts = parts;
    this.#newcomers = new Newcomers(parts);
  }

  /** Why one is refused, whatever its key is worth and whoever makes room; `null`: it may be admitted. */
  foresee(admission: SubscriberAdmission, nowMs: number): Answer | null {
    const answer = this.#refuse(admission, this.#purposeOf(admission, nowMs), 0, nowMs);
    return answer?.type === "refused" ? answer : null;
  }

  /** Decides on one; without a pause, so that what is decided is done before anything else happens. */
  admit(admission: SubscriberAdmission, nowMs: number): Response {
    const { lifecycle, members, sockets } = this.#parts;
    const { policy, policyAtMs, isFresh, isRechecked, wait } = admission;
    if (policy !== null && isFresh) lifecycle.adopt({ policy, atMs: policyAtMs }, isRechecked);
    const purpose = this.#purposeOf(admission, nowMs);
    const { maxSubscribers = null } = policyFor(admission, lifecycle) ?? {};
    const vanished =
      purpose === "the present" ? members.vanishedSubscribers(maxSubscribers, nowMs) : [];
    const here = this.#countOf(purpose) - vanished.length;
    const refusal = this.#refuse(admission, purpose, here, nowMs);
    if (refusal !== null) return answerWith(refusal);
    // One that has vanished will not answer its Close: the runtime holds it as before.
    const hasRoom = sockets.hasRoom("subscriber", members.size);
    const accepted = hasRoom ? this.#newcomers.accept(admission) : null;
    if (accepted === null) return answerWith(TOPIC_FULL);
    const { client, server } = accepted;
    const isWaiting = purpose === "a start" && wait !== undefined;
    if (isWaiting) {
      this.#newcomers.add(waitingNewcomer(server, admission, wait, nowMs));
    } else {
      this.#begin(server, admission, purpose, nowMs);
      for (const { socket } of vanished) members.dismiss(socket, HEARTBEATS_MISSED);
      lifecycle.ensureLogRemembered();
    }
    // A deadline, or a look at the log may have found that the clock was set back.
    this.#parts.alarm.rearm();
    this.#newcomers.ensureRegistered(admission.grant);
    return upgradeTo(client, admission, { isWaiting });
  }

  /** Serves one that is to get something now. */
  #begin(server: WebSocket, admission: SubscriberAdmission, purpose: Purpose, nowMs: number): void {
    const { audience, lifecycle, members, vacancy } = this.#parts;
    const readsPast = purpose === "the past";
    const attachment = subscriberAttachment(admission, readsPast, members.comesAtMs(nowMs));
    const newcomer = new SubscriberMember(server, attachment);
    this.#newcomers.add(newcomer);
    try {
      const since = checkedSince(admission.since);
      if (readsPast && since !== null) {
        vacancy.read(newcomer, since, policyFor(admission, lifecycle) ?? lifecycle.policy);
      } else audience.accept(newcomer, since);
    } catch (error) {
      // The log could not be read. Nobody will ever hold the other end: no ghost is to stay behind.
      members.dismiss(server, SERVICE_RESTART);
      throw error;
    }
  }

  #refuse(
    admission: SubscriberAdmission,
    purpose: Purpose,
    subscribers: number,
    nowMs: number,
  ): Answer | null {
    const { lifecycle, members } = this.#parts;
    const event = {
      type: "subscriber-connects",
      policy: policyFor(admission, lifecycle),
      isGranted: admission.grant !== null,
      readsPast: purpose === "the past",
      waits: purpose === "a start",
      subscribers,
    } as const;
    const { refusal } = transition(lifecycle.state, event, nowMs);
    if (refusal !== null || purpose !== "a start") return refusal;
    return members.waiting.hasRoom(admission.wait?.client ?? 0) ? null : TOO_MANY_WAITING;
  }

  /** What it comes for; where that is nothing that there is, the present, which refuses it. */
  #purposeOf(admission: SubscriberAdmission, nowMs: number): Purpose {
    const { lifecycle, log } = this.#parts;
    const isVacant = lifecycle.state.phase === "vacant";
    const isOver = isVacant && policyFor(admission, lifecycle)?.publishers === "exclusive";
    if (!isOver) return "the present";
    if (admission.since !== null && log.hasPast(nowMs)) return "the past";
    return admission.wait === undefined ? "the present" : "a start";
  }

  #countOf(purpose: Purpose): number {
    const { members } = this.#parts;
    switch (purpose) {
      case "the present":
        return members.subscribers.size;
      case "the past":
        return members.leaving;
      case "a start":
        return members.waiting.size;
    }
  }
}
