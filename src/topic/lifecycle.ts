/**
 * A topic's life: its state, the policy that holds, and what follows from what happens. The rules are in
 * core/topic-state.ts; here they are carried out. Knows neither handshakes nor frames.
 * Invariant: what memory holds of it is what storage and attachments hold, or newer by what is lost without harm.
 */
import type { PolicyChange, TopicBound } from "../core/change.ts";
import { mayPrecede } from "../core/clock.ts";
import {
  PUBLISHER_DELETED,
  PUBLISHER_DISPLACED,
  TOKEN_PUBLISHERS_OFF,
  TOKEN_REQUIRED,
  TOPIC_FINISHED,
  type Close,
} from "../core/close-code.ts";
import type { EndReason } from "../core/end-reason.ts";
import { isSamePolicy } from "../core/judge.ts";
import { DEFAULT_POLICY, type DatedPolicy, type Policy } from "../core/policy.ts";
import {
  bringForward,
  transition,
  VACANT,
  type TopicEvent,
  type TopicState,
} from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import { turn } from "../delivery/turn.ts";
import type { Alarm } from "./alarm.ts";
import { readAttachment } from "./attachment.ts";
import { FINISHED_IDS, type FinishedLife } from "./finished-life.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Log } from "./log.ts";
import type { Members } from "./members.ts";
import type { OwnAddress } from "./own-address.ts";
import type { PublishName } from "./publication.ts";
import type { Sequencer } from "./sequencer.ts";
import type { Sockets } from "./sockets.ts";
import { loadState, storeState } from "./state-store.ts";
import { Stay } from "./stay.ts";
import type { Vacancy } from "./vacancy.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** Subscribers that are served again before the loop turns. */
const SLICE = 64;

/** The parts of a topic that its life moves. */
export interface LivingParts {
  readonly address: OwnAddress;
  readonly alarm: Alarm;
  readonly audience: Audience;
  readonly finished: FinishedLife;
  readonly keyWatch: KeyWatch;
  readonly log: Log;
  readonly members: Members;
  readonly sequencer: Sequencer;
  readonly sockets: Sockets;
  readonly storage: DurableObjectStorage;
  readonly vacancy: Vacancy;
  readonly waitingRoom: WaitingRoom;
  /** Something is wrong that nobody has foreseen. */
  onFailure(error: unknown): void;
}

/** What somebody posts. */
export interface Posting {
  /** Takes it. */
  readonly publish: () => void;
  /** Whether the topic ends behind it. */
  readonly isFinish: boolean;
}

/** The life of one topic. */
export class Lifecycle {
  readonly #parts: LivingParts;
  readonly #stay: Stay = new Stay(() => this.passTime());
  #state: TopicState = VACANT;
  /** That of the last life, as far as memory reaches: what it left behind is still on its way. */
  #lastPolicy: DatedPolicy | null = null;

  constructor(parts: LivingParts) {
    this.#parts = parts;
  }

  /** Goes on after a wake: takes back the log, and the sockets that the runtime has kept, some at a time. */
  async load(sockets: readonly WebSocket[]): Promise<void> {
    const { audience, finished, log, members, storage, vacancy } = this.#parts;
    const state = loadState(storage);
    // Or its alarm would not be due before a clock that was ahead says so.
    this.#state = bringForward(state ?? VACANT, Date.now());
    finished.load(Date.now());
    log.load(this.#state.phase !== "live");
    const lastLeavingMs = vacancy.lastLeavingMs ?? -Infinity;
    const carried = await members.adopt(sockets, { isStateKnown: state !== null, lastLeavingMs });
    vacancy.readOn(this.policy);
    // Nobody else is left to get what was kept for the end.
    vacancy.finish();
    if (this.#state.phase !== "vacant" && this.#state.policyAtMs < carried.policyAtMs) {
      this.#state = { ...this.#state, policyAtMs: carried.policyAtMs };
    }
    if (carried.log !== null && !log.isDurable) log.restore(carried.log);
    // One that asked for that is closed at a gap, and is then a member no more.
    let taken = 0;
    for (const member of members.subscribers.values()) {
      if (++taken % SLICE === 0) await turn(0);
      audience.adopt(member, member.behind);
    }
    // Whom a policy had closed some of may have slept in the middle of it.
    if (this.#state.phase !== "vacant") {
      const { policy } = this.#state;
      if (!policy.tokenPublishers) this.closeTokenPublishers(TOKEN_PUBLISHERS_OFF);
      this.closeStrangers(policy);
    }
    // It could not be placed. After a restart of the runtime, when all are gone, the first client begins the grace.
    if (sockets.length > 0) this.#missPublishers();
  }

  /** What the topic is in; a grace may have passed. */
  get state(): TopicState {
    return this.#state;
  }

  /** The life that is under way, `null` while the topic is vacant. */
  get life(): string | null {
    const state = this.#state;
    const isOver = state.phase === "grace" && Date.now() >= state.deadlineMs;
    return state.phase === "vacant" || isOver ? null : state.life;
  }

  /** What the domain allows, or last did; the defaults while nobody has said. */
  get policy(): Policy {
    if (this.#state.phase !== "vacant") return this.#state.policy;
    const told = this.knownPolicy;
    const last = this.#lastPolicy;
    const newest = (told?.atMs ?? 0) > (last?.atMs ?? 0) ? told : (last ?? told);
    return newest?.policy ?? DEFAULT_POLICY;
  }

  /** The policy that holds; on a vacant topic what the domain last said, `null` while it has said nothing. */
  get knownPolicy(): DatedPolicy | null {
    const state = this.#state;
    return state.phase === "vacant"
      ? this.#parts.keyWatch.registration.policy
      : { policy: state.policy, atMs: state.policyAtMs };
  }

  /** How many topics the domain may have, by the newest policy that is known; `null` while none is. */
  boundBy(offered: DatedPolicy | null): TopicBound | null {
    const known = this.knownPolicy;
    const isNewer = offered !== null && offered.atMs >= (known?.atMs ?? 0);
    const newest = isNewer ? offered : known;
    return newest === null ? null : { maxTopics: newest.policy.maxTopics, atMs: newest.atMs };
  }

  /** When the first thing is due that the alarm is for, `null`: nothing is; milliseconds since the epoch. */
  get dueAtMs(): number | null {
    switch (this.#state.phase) {
      case "vacant":
        return this.#parts.vacancy.dueAtMs;
      case "live":
        return null;
      case "grace":
        return this.#state.deadlineMs;
    }
  }

  /** Lets the clock go on: a grace whose deadline has passed ends, and one begins that nobody has told of. */
  passTime(nowMs: number = Date.now()): void {
    this.#missPublishers();
    this.#apply({ type: "time-passes" }, nowMs);
  }

  /** Goes over to a state that begins with a newcomer: both, or neither (`null`, or a throw). */
  beginWith<T>(state: TopicState, take: () => T | null): T | null {
    const before = this.#state;
    const { storage, vacancy } = this.#parts;
    if (before.phase === "vacant") vacancy.end();
    if (state !== before) storeState(storage, state);
    let taken: T | null = null;
    try {
      taken = take();
    } finally {
      if (taken !== null) this.#state = state;
      else if (state !== before) storeState(storage, before);
    }
    return taken;
  }

  /**
   * Lets somebody publish who comes and goes with that, where nothing was against it (`transition`). Where a topic is
   * shared the life goes on for a moment; elsewhere its grace begins.
   */
  post(state: TopicState, { policy, atMs }: DatedPolicy, { publish, isFinish }: Posting): void {
    const { address, log } = this.#parts;
    const isVacant = this.#state.phase === "vacant";
    address.store();
    log.configure(policy, atMs);
    this.beginWith(state, () => {
      // Before the first message.
      if (isVacant) this.welcome(policy);
      if (!isFinish) publish();
      return true;
    });
    // An end wants the life that it ends.
    if (isFinish) publish();
    if (policy.publishers === "shared") this.#stay.prolong();
    this.#missPublishers();
    // While it is live that is seen to when all is sent.
    if (isVacant || this.#state.phase !== "live") this.rememberLog();
  }

  /**
   * Makes a policy that is newer hold for those who are there; returns how many sockets were closed for it.
   * `isFinal`: the key store was asked after all that is known here, or the domain has put it in order.
   */
  adopt({ policy, atMs }: DatedPolicy, isFinal: boolean): number {
    const { alarm, keyWatch, log, members } = this.#parts;
    const state = this.#state;
    if (state.phase === "vacant" || state.policyAtMs >= atMs) return 0;
    if (isSamePolicy(state.policy, policy)) {
      this.#state = { ...state, policyAtMs: atMs };
      // In an attachment, which is free: a row each time that somebody looked is not.
      members.carry({ policyAtMs: atMs });
      return 0;
    }
    if (!isFinal && (mayPrecede(atMs, state.policyAtMs) || log.wouldKeepLess(policy))) {
      keyWatch.lookAnew();
      return 0;
    }
    const before = members.size;
    log.configure(policy, atMs);
    // First: where one may stay it is one that may publish.
    if (!policy.tokenPublishers) members.dismissAll(members.tokenPublishers, TOKEN_PUBLISHERS_OFF);
    const publishers = members.publishers.size;
    this.#apply({ type: "policy-changes", policy, policyAtMs: atMs, publishers });
    this.closeStrangers(policy);
    this.#missPublishers();
    this.rememberLog();
    alarm.rearm();
    return before - members.size;
  }

  /** The same, as the domain tells it to its topics. */
  hearPolicy(change: PolicyChange): number {
    return this.#parts.keyWatch.registration.hear(change) ? this.adopt(change, true) : 0;
  }

  /** A life begins, of which nothing is published yet, by a policy: for those who are here, and those who wait. */
  welcome(policy: Policy): void {
    this.closeStrangers(policy);
    this.#parts.waitingRoom.open(policy, Date.now());
  }

  /** Closes who presented nothing where the domain is private. */
  closeStrangers({ subscribers }: Policy): void {
    if (subscribers === "open") return;
    const { members } = this.#parts;
    members.dismissAll(members.strangers, TOKEN_REQUIRED);
  }

  /** Closes the publishers that are here by tokens; the topic may then have none. */
  closeTokenPublishers(close: Close): void {
    this.closeAll(this.#parts.members.tokenPublishers, close);
  }

  /** Makes room for a newcomer that takes over, or for the one that stays. */
  displace(publishers: readonly WebSocket[]): void {
    this.#parts.members.dismissAll(publishers, PUBLISHER_DISPLACED);
  }

  /** Closes a member in whichever role; no-op for a socket that is none. */
  close(socket: WebSocket, close: Close): void {
    const { members } = this.#parts;
    const isPublisher = members.publishers.has(socket);
    if (!members.has(socket)) return;
    members.dismiss(socket, close);
    if (isPublisher) this.#publisherLeft();
    else this.ensureLogRemembered();
  }

  /** The same with many, some at a time; at once they count for nothing and get nothing any more. */
  closeAll(sockets: readonly WebSocket[], close: Close): void {
    const { members } = this.#parts;
    const here = sockets.filter((socket) => members.has(socket));
    if (here.length === 0) return;
    const isPublisherAmong = here.some((socket) => members.publishers.has(socket));
    members.dismissAll(here, close);
    if (isPublisherAmong) this.#publisherLeft();
    else this.ensureLogRemembered();
  }

  /** A socket is gone; a publisher's leaving may begin the grace period. */
  leave(socket: WebSocket): void {
    const role = this.#parts.members.remove(socket);
    if (role === null) this.#takeCarried(socket);
    if (role === "publisher") this.#publisherLeft();
    else this.#missPublishers();
    if (role !== "publisher") this.ensureLogRemembered();
  }

  /** Ends the life that is under way at once: its publisher has said so, and all of it is in the log. */
  finish(by: PublishName, answer: () => void): void {
    const { finished, log } = this.#parts;
    finished.remember(by, log.positionWith(FINISHED_IDS), Date.now());
    this.#finish(answer);
  }

  /** Ends what is there, for everybody who is there; `false`: there is nothing. */
  delete(): boolean {
    this.passTime();
    const { subscribers } = this.#parts.members;
    // Those who wait on a vacant shared topic are there for it.
    if (this.#state.phase === "vacant" && subscribers.size === 0) return false;
    this.#endBy({ type: "topic-deleted" }, PUBLISHER_DELETED, () => {});
    return true;
  }

  /** The same said again: ends a life in which nothing was published since, which was begun to say it. */
  finishAgain(answer: () => void): void {
    const { finished, log } = this.#parts;
    if (finished.isNewest(log.head)) this.#finish(answer);
    else answer();
  }

  /** Lets the place of a log that is not durable outlive hibernation: with a member, or in storage during a grace. */
  rememberLog(): void {
    const { log, members, sequencer } = this.#parts;
    if (log.isDurable) {
      members.dropLog();
    } else if (this.#state.phase !== "grace") {
      members.carryLog(log.position);
    } else if (sequencer.isIdle) {
      log.store();
    } else {
      // While messages are still on their way any stored place, an older one too, would be given out twice.
      log.forgetStored();
    }
  }

  /** The same where nobody carries it any more, or yet: those who wait on a vacant topic come and go. */
  ensureLogRemembered(): void {
    if (this.#state.phase === "vacant" && !this.#parts.members.isLogCarried) this.rememberLog();
  }

  /** Applies an event that nobody waits for: carries out its effects, stores the new state. */
  #apply(
    event: Exclude<TopicEvent, { readonly type: `${string}-connects` }>,
    nowMs: number = Date.now(),
  ): void {
    const { alarm, storage, vacancy } = this.#parts;
    const before = this.#state;
    const { state, effects } = transition(before, event, nowMs);
    for (const effect of effects) {
      switch (effect.type) {
        case "displace-publishers":
          break;
        case "keep-first-publisher":
          this.#keepFirstPublisher();
          break;
        case "end-topic":
          this.#end(effect.reason);
          break;
      }
    }
    if (state === before) return;
    this.#state = state;
    if (state.phase !== "vacant") storeState(storage, state);
    else if (before.phase !== "vacant") {
      this.#lastPolicy = { policy: before.policy, atMs: before.policyAtMs };
      vacancy.begin(before.life);
    }
    alarm.rearm();
  }

  #keepFirstPublisher(): void {
    const [, ...others] = [...this.#parts.members.publishers].toSorted(
      ([, one], [, other]) => one.attachment.connectedAtMs - other.attachment.connectedAtMs,
    );
    this.displace(others.map(([socket]) => socket));
  }

  /** What is stored comes before the answer, as for any other, and that before the close, which would cut it off. */
  #finish(answer: () => void): void {
    this.#endBy({ type: "publisher-finishes" }, TOPIC_FINISHED, answer);
  }

  /** Ends a life, if an event does; its publishers have left before, so that none of them begins a grace. */
  #endBy(
    event: Extract<TopicEvent, { type: "publisher-finishes" | "topic-deleted" }>,
    close: Close,
    answer: () => void,
  ): void {
    const { members, sockets } = this.#parts;
    const isEnd = transition(this.#state, event, Date.now()).state.phase === "vacant";
    const publishers = isEnd ? [...members.publishers.keys()] : [];
    for (const socket of publishers) members.remove(socket);
    this.#apply(event);
    answer();
    sockets.dismissAll(publishers, close);
  }

  /** Sends subscribers away, each as soon as it has all there is; they are not the next life's. */
  #end(reason: EndReason): void {
    const { audience, log, members, sequencer, vacancy } = this.#parts;
    sequencer.flush();
    members.end();
    const isShared = this.policy.publishers === "shared";
    const past = log.end(audience.isReplaying, reason, { isShared });
    audience
      .end(past, reason)
      .then(() => vacancy.finish())
      .catch((error: unknown) => this.#parts.onFailure(error));
  }

  /** Its leaving has woken the object, which did not see it: what it carried for the topic is not to go with it. */
  #takeCarried(socket: WebSocket): void {
    const attachment = readAttachment(socket);
    if (attachment?.role !== "publisher" && attachment?.role !== "subscriber") return;
    const { log } = attachment;
    // Another place may have been stored meanwhile.
    if (log !== null && log !== undefined && this.#parts.log.restoreLate(log)) this.rememberLog();
  }

  /**
   * After a restart of the runtime all sockets are gone and nobody was told; and of one that left while the object
   * slept, which its leaving wakes, nothing is known.
   */
  #missPublishers(): void {
    if (this.#state.phase === "live" && this.#publishers === 0) this.#publisherLeft();
  }

  /** How many there are that let the topic live: where it is shared, who posted just now is one. */
  get #publishers(): number {
    const isStaying = this.#stay.isOn && this.policy.publishers === "shared";
    return this.#parts.members.publishers.size + (isStaying ? 1 : 0);
  }

  #publisherLeft(): void {
    const remaining = this.#publishers;
    this.#apply({ type: "publisher-leaves", remaining });
    this.rememberLog();
  }
}
