/**
 * The Durable Object that owns one address: it admits sockets, keeps the topic's phase, and joins its
 * parts: intake, log, audience, grants. The rules of the phases are in core/topic-state.ts; here they are
 * carried out. Knows nothing of SQL or routes, and of keys no more than their number.
 * Invariant: what memory holds can be rebuilt from storage, `getWebSockets()` and attachments.
 */
import { DurableObject } from "cloudflare:workers";
import { decodeSegment } from "../core/address.ts";
import { ADMISSION_HEADER, formatAnswer, NAME_HEADER, parseAdmission } from "../core/admission.ts";
import type {
  Admission,
  Answer,
  PublisherAdmission,
  SubscriberAdmission,
} from "../core/admission.ts";
import type { Change, Heard, KeyStanding, PolicyChange, TopicBound } from "../core/change.ts";
import {
  HEARTBEATS_MISSED,
  PUBLISHER_DISPLACED,
  SERVICE_RESTART,
  TOKEN_REQUIRED,
  TOPIC_ENDED,
  type Close,
} from "../core/close-code.ts";
import type { Grant } from "../core/grant.ts";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE } from "../core/heartbeat.ts";
import { mayPrecede } from "../core/clock.ts";
import { isSamePolicy, judgePolicy } from "../core/judge.ts";
import type { Message } from "../core/message.ts";
import { DEFAULT_POLICY, type DatedPolicy, type Policy } from "../core/policy.ts";
import { protocolOf } from "../core/subprotocol.ts";
import {
  excessOf,
  transition,
  VACANT,
  type TopicEvent,
  type TopicState,
} from "../core/topic-state.ts";
import { logError } from "../log.ts";
import { Alarm } from "./alarm.ts";
import { readAttachment, writeAttachment, type SubscriberAttachment } from "./attachment.ts";
import { Audience } from "./audience.ts";
import type { Batch } from "../delivery/batch.ts";
import { Intake } from "./intake.ts";
import { KeyWatch } from "./key-watch.ts";
import { Log } from "./log.ts";
import type { LogPosition } from "./log-meta.ts";
import { OwnAddress } from "./own-address.ts";
import type { Publication } from "./publication.ts";
import { Publisher } from "./publisher.ts";
import { Publishers } from "./publishers.ts";
import { findSilentPublishers } from "./silent-publishers.ts";
import { Sequencer } from "./sequencer.ts";
import { Sockets } from "./sockets.ts";
import { reportSockets, type SocketReport } from "./socket-report.ts";
import { loadState, storeState } from "./state-store.ts";
import { Vanished } from "./vanished.ts";

const TOPIC_FULL: Answer = { type: "refused", slug: "topic-full" };

/** A deserted object stays in memory for so long at most to remember how much of their rate publishers have used. */
const MAX_REMEMBER_MS = 2000;

/** What the operator may know of a topic. */
export interface TopicDescription {
  readonly phase: TopicState["phase"];
  readonly publishers: number;
  readonly subscribers: number;
}

/** What a topic's domain may know of it, to correct its register. */
export interface Audit {
  /** The life that is under way, `null` while the topic is vacant. */
  readonly life: string | null;
  /** The keys that sockets are here by. */
  readonly keyIds: readonly number[];
}

/** One topic. */
export class Topic extends DurableObject<Env> {
  #state: TopicState;
  readonly #address: OwnAddress;
  readonly #log: Log;
  readonly #audience: Audience;
  readonly #sequencer: Sequencer;
  readonly #intake: Intake;
  readonly #keyWatch: KeyWatch;
  readonly #publishers: Publishers = new Publishers();
  readonly #sockets: Sockets;
  readonly #vanished: Vanished;
  /** Names the life that begins with the next publisher, which the domain may know already. */
  #nextLife: string | null = null;
  readonly #alarm: Alarm;
  #hasFailed = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // It survives hibernation but not a restart, and costs nothing to set again.
    ctx.setWebSocketAutoResponse(
      new WebSocketRequestResponsePair(HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE),
    );
    this.#sockets = new Sockets(ctx);
    this.#vanished = new Vanished((socket) => this.#sockets.lastHeartbeatMs(socket));
    this.#address = new OwnAddress(ctx);
    this.#log = new Log(ctx.storage);
    this.#alarm = new Alarm(ctx, () => this.#dueAtMs);
    this.#audience = new Audience(this.#log, {
      maxBacklogBytes: () => this.#policy.maxBacklogBytes,
      dismiss: (socket, close) => this.#dismiss(socket, close),
      onIdle: () => this.#settle(),
      onFailure: (error) => this.#fail("delivery-failed", error),
    });
    this.#sequencer = new Sequencer(this.#log, this.#audience.fanOut, {
      append: (publications) => this.#append(publications),
      onIdle: () => this.#settle(),
      hold: (work) => {
        ctx
          .blockConcurrencyWhile(work)
          .catch((error: unknown) => this.#fail("delivery-failed", error));
      },
      onFailure: (error) => this.#fail("delivery-failed", error),
    });
    this.#intake = new Intake(this.#log, this.#sequencer);
    this.#keyWatch = new KeyWatch({
      ctx,
      env,
      address: () => this.#address.value,
      life: () => this.#life,
      bound: () => this.#boundBy(null),
      close: (socket, close) => this.#close(socket, close),
      regrant: (socket, grant) => this.#regrant(socket, grant),
      adopt: (policy, isFinal) => void this.#adopt(policy, isFinal),
      looked: (nowMs) => this.#rememberLook(nowMs),
      rearm: () => this.#alarm.rearm(),
    });
    const state = loadState(ctx.storage);
    this.#state = state ?? VACANT;
    this.#adoptSockets(state !== null);
    // After a restart of the runtime all sockets are gone and nobody was told.
    if (this.#state.phase === "live" && this.#publishers.size === 0) this.#publisherLeft();
    this.#forgetAddress();
    this.#alarm.load();
  }

  /** Takes the socket of an upgrade that the edge admitted, or answers by header why not, or what it needs. */
  override async fetch(request: Request): Promise<Response> {
    const admission = parseAdmission(request.headers.get(ADMISSION_HEADER));
    this.#address.learn(decodeSegment(request.headers.get(NAME_HEADER) ?? "") || null);
    const keyId = admission.grant?.keyId ?? null;
    if (keyId === null) return this.#admit(admission);
    // Whoever is refused whatever the domain says leaves nothing there.
    const foreseen = this.#foresee(admission);
    if (foreseen !== null) return answerWith(foreseen);
    // A publisher may be about to begin a life, of which the domain must know before anybody is in.
    const isStarting = admission.role === "publisher" && this.#life === null;
    const { policy, policyAtMs } = admission;
    const bound = this.#boundBy(policy === null ? null : { policy, atMs: policyAtMs });
    // Only a ticket's holder on a vacant topic: nothing is entered before it is known how much may be.
    if (bound === null) return answerWith({ type: "needs", what: "policy" });
    const life = isStarting ? (this.#nextLife ??= crypto.randomUUID()) : this.#life;
    try {
      return await this.#keyWatch.join({ keyId, life, bound }, (entering) => {
        if (entering === "too-many-topics") return answerWith({ type: "refused", slug: entering });
        // What was asked for just now holds without the domain's word, until that can be had.
        const isDoubtful = entering === "unreachable" && !admission.isFresh;
        if (isDoubtful) return answerWith({ type: "needs", what: "recheck" });
        return this.#admitByKey(admission, keyId);
      });
    } finally {
      this.#giveUpNextLife();
    }
  }

  /** Takes the domain's word for what an operator has changed. */
  applyChange(change: Change): Heard {
    const heard =
      change.type === "key"
        ? this.#keyWatch.hear(change)
        : { closed: this.#hearPolicy(change), holdsKey: true };
    // A life that is about to begin counts: the domain was told of it.
    return { ...heard, isLive: this.#life !== null || this.#nextLife !== null };
  }

  /** Says what the domain should know of it. */
  audit(): Audit {
    return { life: this.#life, keyIds: this.#keyWatch.takeStock() };
  }

  /** Version 0.1: `applyChange` by a domain that does not number its changes. */
  applyKey(keyId: number, standing: KeyStanding): { closed: number; isLive: boolean } {
    const closed = this.#keyWatch.hearBefore(keyId, standing);
    return { closed, isLive: this.#state.phase !== "vacant" };
  }

  /** Says how the topic is, for the operator. */
  describe(): TopicDescription {
    const isOver = this.#life === null;
    return {
      phase: isOver ? "vacant" : this.#state.phase,
      publishers: this.#publishers.size,
      subscribers: isOver && this.#state.phase === "grace" ? 0 : this.#audience.size,
    };
  }

  /** Says who is connected, at most so many: publishers first, then subscribers that are replayed to. */
  sockets(limit: number): SocketReport[] {
    const isOver = this.#life === null && this.#state.phase === "grace";
    const sockets = {
      publishers: this.#publishers.values(),
      subscribers: isOver ? [] : this.#audience.places(),
      head: this.#log.head.offset,
    };
    return reportSockets(sockets, limit);
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    const publisher = this.#publishers.get(socket);
    const nowMs = Date.now();
    if (publisher === undefined) {
      this.#vanished.hear(socket, nowMs);
      this.#audience.hear(socket, message);
      return;
    }
    publisher.lastMessageMs = nowMs;
    this.#keyWatch.lookIfDue(nowMs);
    const close = this.#intake.take(publisher, message, this.#policy, nowMs);
    if (close !== null) this.#close(socket, close);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    const hadClose = this.#sockets.isDismissed(socket);
    // It is gone whatever can be answered, and is answered whatever comes of its leaving.
    try {
      this.#forget(socket);
    } finally {
      if (!hadClose) this.#sockets.answer(socket, code, reason);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#forget(socket);
  }

  override alarm(): void {
    this.#alarm.clear();
    this.#apply({ type: "time-passes" });
    const nowMs = Date.now();
    this.#keyWatch.expire(nowMs);
    if (this.#state.phase === "vacant" && this.#log.isOver(nowMs)) {
      this.#forgetEverything();
    } else {
      this.#log.expire(nowMs);
    }
    this.#keyWatch.completeRegistration();
    // Whatever it fired for, the rest is still due.
    this.#alarm.rearm();
    this.#forgetAddress();
  }

  /** The life that is under way, `null` while the topic is vacant. */
  get #life(): string | null {
    const state = this.#state;
    const isOver = state.phase === "grace" && Date.now() >= state.deadlineMs;
    return state.phase === "vacant" || isOver ? null : state.life;
  }

  /** How many sockets are here, in whichever role; those that the hub has closed are not. */
  get #size(): number {
    return this.#publishers.size + this.#audience.size;
  }

  /** What the domain allows; the defaults while nobody has said. */
  get #policy(): Policy {
    return this.#state.phase === "vacant" ? DEFAULT_POLICY : this.#state.policy;
  }

  /** Rebuilds the log and the sockets' maps after a wake; those it cannot place are told to come back. */
  #adoptSockets(isStateKnown: boolean): void {
    this.#log.load(this.#state.phase !== "live");
    const subscribers: [WebSocket, SubscriberAttachment][] = [];
    const granted: [WebSocket, Grant][] = [];
    let position: LogPosition | null = null;
    let lookedAtMs = 0;
    let policyAtMs = 0;
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          this.#publishers.set(socket, new Publisher(socket, attachment));
          if (attachment.grant !== null) granted.push([socket, attachment.grant]);
          lookedAtMs = Math.max(lookedAtMs, attachment.lookedAtMs);
          policyAtMs = Math.max(policyAtMs, attachment.policyAtMs);
          // One of them was given the place, others may still carry an older one.
          if ((attachment.log?.offset ?? -1) > (position?.offset ?? -1)) position = attachment.log;
          break;
        case "subscriber":
          subscribers.push([socket, attachment]);
          if (attachment.grant !== null) granted.push([socket, attachment.grant]);
          break;
        case "dismissed":
          this.#sockets.adoptDismissed(socket);
          break;
        case undefined:
          this.#dismiss(socket, SERVICE_RESTART);
          break;
      }
    }
    if (this.#state.phase !== "vacant" && this.#state.policyAtMs < policyAtMs) {
      this.#state = { ...this.#state, policyAtMs };
    }
    for (const [socket, grant] of granted) this.#keyWatch.grants.add(socket, grant, lookedAtMs);
    if (position !== null && !this.#log.isDurable) this.#log.restore(position);
    for (const [socket, attachment] of subscribers) this.#audience.adopt(socket, attachment);
  }

  /** Lets it outlive hibernation that keys were looked at: in a publisher's attachment, which costs nothing. */
  #rememberLook(nowMs: number): void {
    this.#firstPublisher?.remember({ lookedAtMs: nowMs });
  }

  /** Who carries through hibernation what is the topic's. */
  get #firstPublisher(): Publisher | undefined {
    const [first] = this.#publishers.values();
    return first;
  }

  /** Decides on a join by a key, given what was heard of that key. */
  #admitByKey(admission: Admission, keyId: number): Response {
    const { grant, isRechecked } = admission;
    if (grant === null) return this.#admit(admission);
    const verdict = this.#keyWatch.judge(grant, keyId, isRechecked);
    switch (verdict.type) {
      case "good":
        return this.#admit({ ...admission, grant: verdict.grant });
      case "dead":
        return answerWith({ type: "refused", slug: "key-rejected" });
      case "doubtful":
        return answerWith({ type: "needs", what: "recheck" });
    }
  }

  /** Decides on a join; without a pause, so that what is decided is done before anything else happens. */
  #admit(admission: Admission): Response {
    const nowMs = Date.now();
    this.#apply({ type: "time-passes" }, nowMs);
    switch (admission.role) {
      case "publisher":
        return this.#admitPublisher(admission, nowMs);
      case "subscriber":
        return this.#admitSubscriber(admission, nowMs);
    }
  }

  #admitPublisher(admission: PublisherAdmission, nowMs: number): Response {
    const dated = this.#newestPolicy(admission);
    if (dated === null) return answerWith({ type: "needs", what: "recheck" });
    // It holds for those who are there, whatever becomes of this one.
    this.#adopt(dated, true);
    const before = this.#state;
    const silent = this.#silentPublishers(dated.policy, nowMs);
    const event = this.#publisherConnects(admission, dated, silent.length);
    const { state, effects, refusal } = transition(before, event, nowMs);
    if (refusal !== null) return answerWith(refusal);
    const isTakenOver = effects.some(({ type }) => type === "displace-publishers");
    const displaced = isTakenOver ? [...this.#publishers.keys()] : silent;
    const others = this.#size - displaced.length;
    if (!this.#sockets.hasRoom("publisher", others)) return answerWith(TOPIC_FULL);
    // All that can fail comes first: then nobody was dismissed, and the topic is as it was.
    this.#log.configure(dated.policy, dated.atMs);
    const accepted = this.#acceptPublisher(admission, state);
    if (accepted === null) return answerWith(TOPIC_FULL);
    if (before.phase === "vacant") this.#nextLife = null;
    this.#displace(displaced);
    // It may have displaced the one whose rate it goes on with.
    this.#publishers.begin(accepted.newcomer, nowMs);
    if (before.phase === "vacant") this.#closeStrangers(dated.policy);
    this.#rememberLog();
    this.#alarm.rearm();
    this.#ensureRegistered(admission.grant);
    return accepted.response;
  }

  #admitSubscriber(admission: SubscriberAdmission, nowMs: number): Response {
    const { policy, policyAtMs, isFresh, isRechecked, grant } = admission;
    if (policy !== null && isFresh) this.#adopt({ policy, atMs: policyAtMs }, isRechecked);
    const newest = this.#policyFor(admission);
    const vanished = this.#vanishedSubscribers(newest?.maxSubscribers ?? null, nowMs);
    const event = this.#subscriberConnects(admission, this.#audience.size - vanished.length);
    const { refusal } = transition(this.#state, event, nowMs);
    if (refusal !== null) return answerWith(refusal);
    // Who has vanished will not answer its Close: the runtime holds it as before.
    const hasRoom = this.#sockets.hasRoom("subscriber", this.#size);
    const accepted = hasRoom ? this.#accept(admission) : null;
    if (accepted === null) return answerWith(TOPIC_FULL);
    try {
      this.#audience.accept(accepted.server, admission);
    } catch (error) {
      // The log could not be read. Nobody will ever hold the other end: no ghost is to stay behind.
      this.#audience.dismiss(accepted.server, SERVICE_RESTART);
      throw error;
    }
    for (const socket of vanished) this.#audience.dismiss(socket, HEARTBEATS_MISSED);
    this.#ensureRegistered(grant);
    return accepted.response;
  }

  /** Why a join by a key is refused, whatever its key is worth and whoever makes room; `null`: it may be admitted. */
  #foresee(admission: Admission): Answer | null {
    const nowMs = Date.now();
    this.#apply({ type: "time-passes" }, nowMs);
    const event =
      admission.role === "publisher"
        ? this.#foreseePublisher(admission, nowMs)
        : this.#subscriberConnects(admission, 0);
    const { refusal } = transition(this.#state, event, nowMs);
    return refusal?.type === "refused" ? refusal : null;
  }

  #foreseePublisher(admission: PublisherAdmission, nowMs: number): TopicEvent {
    const silent = this.#silentPublishers(admission.policy, nowMs);
    const dated = { policy: admission.policy, atMs: admission.policyAtMs };
    return this.#publisherConnects(admission, dated, silent.length);
  }

  /** A publisher comes, while so many of those that are there are silent. */
  #publisherConnects(
    { takeover, isKeyInPath }: PublisherAdmission,
    { policy, atMs }: DatedPolicy,
    silent: number,
  ): TopicEvent {
    return {
      type: "publisher-connects",
      policy,
      policyAtMs: atMs,
      life: this.#nextLife ?? crypto.randomUUID(),
      takeover,
      isKeyInPath,
      incumbentSilent: silent === this.#publishers.size,
      publishers: this.#publishers.size - silent,
    };
  }

  #subscriberConnects(admission: SubscriberAdmission, subscribers: number): TopicEvent {
    const isGranted = admission.grant !== null;
    return {
      type: "subscriber-connects",
      policy: this.#policyFor(admission),
      isGranted,
      subscribers,
    };
  }

  /** By what a subscriber is judged: the topic's policy; on a vacant one the newest that is known, if any is. */
  #policyFor({ policy, policyAtMs }: SubscriberAdmission): Policy | null {
    if (this.#state.phase !== "vacant") return this.#state.policy;
    const told = this.#keyWatch.registration.policy;
    return told !== null && told.atMs > policyAtMs ? told.policy : policy;
  }

  /** Accepts the admitted socket for hibernation; `null` when the runtime takes no more. */
  #accept({
    role,
    subprotocol,
    grant,
  }: Admission): { response: Response; server: WebSocket } | null {
    if (role === "publisher" || grant !== null) this.#address.store();
    const accepted = this.#sockets.accept(role);
    if (accepted === null) return null;
    const { client, server } = accepted;
    if (grant !== null) {
      this.#keyWatch.grants.add(server, grant, Date.now());
      this.#alarm.rearm();
    }
    const headers = new Headers();
    if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol);
    return { response: new Response(null, { status: 101, webSocket: client, headers }), server };
  }

  /** Where the domain could not be reached, or another life has begun, it is told beside the handshake. */
  #ensureRegistered(grant: Grant | null): void {
    const keyId = grant?.keyId ?? null;
    this.#keyWatch.ensureRegistered(keyId === null ? [] : [keyId]);
  }

  /** Takes a publisher's socket, and the state that begins with it: both, or neither (`null`, or a throw). */
  #acceptPublisher(
    admission: PublisherAdmission,
    state: TopicState,
  ): { response: Response; newcomer: Publisher } | null {
    const before = this.#state;
    if (state !== before) storeState(this.ctx.storage, state);
    const accepted = this.#accept(admission);
    if (accepted === null) {
      if (state !== before) storeState(this.ctx.storage, before);
      return null;
    }
    const { response, server } = accepted;
    const attachment = {
      v: 1,
      role: "publisher",
      protocol: protocolOf(admission.subprotocol),
      heartbeatSeconds: admission.heartbeatSeconds,
      connectedAtMs: Date.now(),
      lookedAtMs: this.#publishers.size === 0 ? Date.now() : 0,
      policyAtMs: 0,
      log: null,
      grant: admission.grant,
      rateFullAtMs: null,
      ...(admission.country !== undefined && { country: admission.country }),
    } as const;
    writeAttachment(server, attachment);
    this.#state = state;
    const newcomer = new Publisher(server, attachment);
    this.#publishers.set(server, newcomer);
    return { response, newcomer };
  }

  /** Publishers that missed their heartbeats, as many as must make room for another one, or fewer. */
  #silentPublishers({ publishers, maxPublishers }: Policy, nowMs: number): WebSocket[] {
    const here = this.#publishers.size;
    const excess = publishers === "exclusive" ? here : excessOf(here, maxPublishers);
    const lastHeartbeatMs = (socket: WebSocket): number | null =>
      this.#sockets.lastHeartbeatMs(socket);
    return findSilentPublishers(excess, this.#publishers.values(), lastHeartbeatMs, nowMs);
  }

  /** Subscribers that have vanished, as many as must make room for another one, or fewer. */
  #vanishedSubscribers(limit: number | null, nowMs: number): readonly WebSocket[] {
    const excess = excessOf(this.#audience.size, limit);
    return excess === 0 ? [] : this.#vanished.find(excess, () => this.#audience.sockets, nowMs);
  }

  /** The policy that holds; on a vacant topic what the domain last said, `null` while it has said nothing. */
  get #knownPolicy(): DatedPolicy | null {
    const state = this.#state;
    return state.phase === "vacant"
      ? this.#keyWatch.registration.policy
      : { policy: state.policy, atMs: state.policyAtMs };
  }

  /** The newest policy that is known, `null` when the key store must be asked for it again. */
  #newestPolicy({
    policy,
    policyAtMs,
    isFresh,
    isRechecked,
  }: PublisherAdmission): DatedPolicy | null {
    const newest = judgePolicy(this.#knownPolicy, { policy, atMs: policyAtMs }, isRechecked);
    if (newest === null || isFresh) return newest;
    // What the log has is given up on a fresh word only.
    const isOlder = newest.atMs < this.#log.policyAtMs && this.#log.wouldChange(newest.policy);
    return isOlder || this.#log.wouldKeepLess(newest.policy) ? null : newest;
  }

  /** How many topics the domain may have, by the newest policy that is known; `null` while none is. */
  #boundBy(offered: DatedPolicy | null): TopicBound | null {
    const known = this.#knownPolicy;
    const isNewer = offered !== null && offered.atMs >= (known?.atMs ?? 0);
    const newest = isNewer ? offered : known;
    return newest === null ? null : { maxTopics: newest.policy.maxTopics, atMs: newest.atMs };
  }

  /**
   * Makes a policy that is newer hold for those who are there; returns how many sockets were closed for it.
   * `isFinal`: the key store was asked after all that is known here, or the domain has put it in order.
   */
  #adopt({ policy, atMs }: DatedPolicy, isFinal: boolean): number {
    const state = this.#state;
    if (state.phase === "vacant" || state.policyAtMs >= atMs) return 0;
    if (isSamePolicy(state.policy, policy)) {
      this.#state = { ...state, policyAtMs: atMs };
      // In an attachment, which is free: a row each time that somebody looked is not.
      this.#firstPublisher?.remember({ policyAtMs: atMs });
      return 0;
    }
    if (!isFinal && (mayPrecede(atMs, state.policyAtMs) || this.#log.wouldKeepLess(policy))) {
      this.#keyWatch.lookAnew();
      return 0;
    }
    const before = this.#size;
    this.#log.configure(policy, atMs);
    const publishers = this.#publishers.size;
    this.#apply({ type: "policy-changes", policy, policyAtMs: atMs, publishers });
    this.#closeStrangers(policy);
    this.#rememberLog();
    this.#alarm.rearm();
    return before - this.#size;
  }

  #hearPolicy(change: PolicyChange): number {
    return this.#keyWatch.registration.hear(change) ? this.#adopt(change, true) : 0;
  }

  /** Closes who presented nothing where the domain is private. */
  #closeStrangers({ subscribers }: Policy): void {
    if (subscribers === "open" || this.#audience.size === 0) return;
    this.#audience.dismissIf((socket) => !this.#keyWatch.grants.has(socket), TOKEN_REQUIRED);
  }

  /** Gives up a life that the domain was told of and that did not begin. */
  #giveUpNextLife(): void {
    const life = this.#nextLife;
    if (life === null || this.#keyWatch.isJoining) return;
    this.#nextLife = null;
    if (this.#keyWatch.registration.covers(life, [])) this.#keyWatch.withdraw(life);
  }

  /** Applies an event that nobody waits for: carries out its effects, stores the new state. */
  #apply(
    event: Exclude<TopicEvent, { readonly type: `${string}-connects` }>,
    nowMs: number = Date.now(),
  ): void {
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
          this.#endTopic();
          break;
      }
    }
    if (state === before) return;
    this.#state = state;
    if (state.phase !== "vacant") storeState(this.ctx.storage, state);
    else if (before.phase !== "vacant") this.#vacate(before.life);
    this.#alarm.rearm();
  }

  #keepFirstPublisher(): void {
    const [, ...others] = [...this.#publishers].toSorted(
      ([, one], [, other]) => one.attachment.connectedAtMs - other.attachment.connectedAtMs,
    );
    this.#displace(others.map(([socket]) => socket));
  }

  #displace(publishers: readonly WebSocket[]): void {
    for (const socket of publishers) {
      this.#publishers.delete(socket);
      this.#dismiss(socket, PUBLISHER_DISPLACED);
    }
  }

  /** Gives subscribers all there is, then sends them away. */
  #endTopic(): void {
    this.#sequencer.flush();
    this.#audience.end(TOPIC_ENDED);
    this.#log.end();
  }

  /** Stores nothing, unless there is a log that is kept for a time. */
  #vacate(life: string): void {
    this.#keyWatch.withdraw(life);
    const keepUntilMs = this.#log.retire(Date.now());
    if (keepUntilMs === null) this.#deleteAll();
    else storeState(this.ctx.storage, VACANT);
  }

  #forgetEverything(): void {
    this.#log.reset();
    this.#deleteAll();
  }

  /** Nothing is stored of a vacant topic, but what those who wait on it need. */
  #deleteAll(): void {
    this.#alarm.clear();
    const { isIncomplete } = this.#keyWatch.registration;
    void this.ctx.storage.deleteAll();
    if (this.#audience.size === 0) return;
    if (!this.#keyWatch.grants.isEmpty) this.#address.store();
    if (!isIncomplete) return;
    this.#keyWatch.registration.isIncomplete = true;
    this.#keyWatch.completeRegistration();
  }

  /** Puts publications into the log. If storage fails, nothing that follows could be true: all is dropped. */
  #append(publications: readonly Publication[]): Batch | null {
    try {
      const batch = this.#log.append(publications, Date.now());
      this.#alarm.rearm();
      return batch;
    } catch (error) {
      // SQLITE_FULL and the like. Publishers see 1006 and no ack, subscribers come back by cursor.
      this.#fail("log-failed", error);
      throw error;
    }
  }

  /** Begins anew, since nothing that memory holds can be relied on: sockets are cut, and come back by cursor. */
  #fail(event: "log-failed" | "delivery-failed", error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const reason = error instanceof Error ? error.message : String(error);
    logError({ event, reason });
    this.ctx.abort(`${event}: ${reason}`);
  }

  /** When the first thing is due that the alarm is for, `null` when nothing is; asked once a batch. */
  get #dueAtMs(): number | null {
    const deadlineMs = this.#state.phase === "grace" ? this.#state.deadlineMs : null;
    const keepUntilMs = this.#state.phase === "vacant" ? this.#log.keepUntilMs : null;
    const due = [deadlineMs, keepUntilMs, this.#log.nextExpiryMs, this.#keyWatch.dueAtMs];
    const known = due.filter((atMs) => atMs !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  #regrant(socket: WebSocket, grant: Grant): void {
    const publisher = this.#publishers.get(socket);
    if (publisher === undefined) this.#audience.regrant(socket, grant);
    else publisher.remember({ grant });
  }

  /** Everything is sent that was under way. */
  #settle(): void {
    this.#rememberLog();
    // What was replayed may go by its age now.
    this.#alarm.rearm();
  }

  /** Lets the place of a log that is not durable outlive hibernation: in a publisher's attachment. */
  #rememberLog(): void {
    if (this.#log.isDurable) return;
    if (this.#firstPublisher !== undefined) {
      this.#firstPublisher.remember({ log: this.#log.position });
    } else if (this.#state.phase === "grace") {
      // While messages are still on their way any stored place, an older one too, would be given out twice.
      if (this.#sequencer.isIdle) this.#log.store();
      else this.#log.forgetStored();
    }
  }

  /** Closes whoever it is; a publisher has then left. */
  #close(socket: WebSocket, close: Close): void {
    if (this.#publishers.delete(socket)) {
      this.#dismiss(socket, close);
      this.#publisherLeft();
    } else if (this.#audience.remove(socket)) {
      this.#dismiss(socket, close);
    }
  }

  /** Closes a socket from the hub's side; from here on it counts for nothing, after a wake neither. */
  #dismiss(socket: WebSocket, close: Close): void {
    this.#keyWatch.grants.delete(socket);
    this.#vanished.forget(socket);
    this.#sockets.dismiss(socket, close);
  }

  /** Drops a socket that is gone; a publisher's leaving may begin the grace period. */
  #forget(socket: WebSocket): void {
    this.#keyWatch.grants.delete(socket);
    this.#vanished.forget(socket);
    this.#audience.remove(socket);
    if (this.#publishers.delete(socket)) this.#publisherLeft();
    const wasClosing = this.#sockets.forget(socket);
    this.#forgetAddress();
    if (wasClosing && this.#isDeserted()) {
      const rememberMs = Math.min(this.#publishers.msUntilForgotten(Date.now()), MAX_REMEMBER_MS);
      setTimeout(() => void this.#reset(), rememberMs);
    }
  }

  /** Nothing that those who waited on a vacant topic had stored outlives them. */
  #forgetAddress(): void {
    if (!this.#isDeserted() || this.#log.keepUntilMs !== null) return;
    if (!this.#keyWatch.registration.isIncomplete) this.#address.forget();
  }

  /** Whether the topic is over and the last of its sockets gone. */
  #isDeserted(): boolean {
    const sockets = this.#size + this.#sockets.closing;
    return this.#state.phase === "vacant" && sockets === 0 && !this.#keyWatch.isJoining;
  }

  /**
   * Takes a deserted object out of memory. The runtime keeps the TCP connection of a socket that never
   * sent anything, and that the hub closed, until the object leaves memory (workerd 1.20261117): the
   * clients, which wait for its end, would report the close ten seconds late.
   */
  async #reset(): Promise<void> {
    await this.ctx.storage.sync();
    await this.#keyWatch.registration.settled();
    if (!this.#isDeserted() || this.#publishers.msUntilForgotten(Date.now()) > 0) return;
    this.ctx.abort("The topic has ended");
  }

  #publisherLeft(): void {
    this.#apply({ type: "publisher-leaves", remaining: this.#publishers.size });
    this.#rememberLog();
  }
}

function answerWith(answer: Answer): Response {
  return new Response(null, { status: 403, headers: formatAnswer(answer) });
}
