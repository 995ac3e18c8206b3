/**
 * The Durable Object that owns one address: it admits sockets, keeps the topic's phase, and joins its
 * parts: intake, log, audience, grants. The rules of the phases are in core/topic-state.ts; here they are
 * carried out. Knows nothing of SQL or routes, and of keys no more than their number.
 * Invariant: what memory holds can be rebuilt from storage, `getWebSockets()` and attachments.
 */
import { DurableObject } from "cloudflare:workers";
import { decodeSegment } from "../core/address.ts";
import {
  ADMISSION_HEADER,
  NAME_HEADER,
  parseAdmission,
  REFUSAL_HEADER,
} from "../core/admission.ts";
import type { Admission, PublisherAdmission, Refusal } from "../core/admission.ts";
import {
  answerTo,
  PUBLISHER_DISPLACED,
  SERVICE_RESTART,
  TOPIC_ENDED,
  type Close,
} from "../core/close-code.ts";
import type { Grant, KeyStanding } from "../core/grant.ts";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE, isSilent } from "../core/heartbeat.ts";
import type { Message } from "../core/message.ts";
import { DEFAULT_POLICY, type Policy } from "../core/policy.ts";
import { protocolOf } from "../core/subprotocol.ts";
import { transition, VACANT, type TopicEvent, type TopicState } from "../core/topic-state.ts";
import { logError } from "../log.ts";
import { readAttachment, writeAttachment, type SubscriberAttachment } from "./attachment.ts";
import { Audience } from "./audience.ts";
import type { Batch } from "./batch.ts";
import { Intake } from "./intake.ts";
import { KeyWatch } from "./key-watch.ts";
import { Log, type LogPosition } from "./log.ts";
import { OwnAddress } from "./own-address.ts";
import type { Publication } from "./publication.ts";
import { Publisher } from "./publisher.ts";
import { loadState, storeState } from "./state-store.ts";

/** The runtime takes 32,768 hibernatable sockets; some room is left for those still closing. */
const MAX_SOCKETS = 32_000;

/** What the operator may know of a topic. */
export interface TopicDescription {
  readonly phase: TopicState["phase"];
  readonly publishers: number;
  readonly subscribers: number;
}

/** One topic. */
export class Topic extends DurableObject<Env> {
  #state: TopicState;
  readonly #address: OwnAddress;
  readonly #log: Log;
  readonly #audience: Audience;
  readonly #intake: Intake;
  readonly #keyWatch: KeyWatch;
  readonly #publishers: Map<WebSocket, Publisher> = new Map();
  /** Closed by the hub, not answered yet. */
  readonly #dismissed: Set<WebSocket> = new Set();
  /** The alarm that is set, as far as memory knows. */
  #alarmAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // It survives hibernation but not a restart, and costs nothing to set again.
    ctx.setWebSocketAutoResponse(
      new WebSocketRequestResponsePair(HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE),
    );
    this.#address = new OwnAddress(ctx);
    this.#log = new Log(ctx.storage);
    this.#audience = new Audience(this.#log, {
      append: (publications) => this.#append(publications),
      maxBacklogBytes: () => this.#policy.maxBacklogBytes,
      dismiss: (socket, close) => this.#dismiss(socket, close),
      onIdle: () => this.#rememberLog(),
      hold: (work) => void ctx.blockConcurrencyWhile(work),
    });
    this.#intake = new Intake(this.#log, this.#audience.fanOut);
    this.#keyWatch = new KeyWatch({
      ctx,
      env,
      address: () => this.#address.value,
      close: (socket, close) => this.#close(socket, close),
      regrant: (socket, grant) => this.#regrant(socket, grant),
      wakeBy: (atMs) => this.#wakeBy(atMs),
    });
    const state = loadState(ctx.storage);
    this.#state = state ?? VACANT;
    this.#adoptSockets(state !== null);
    // It was set for this or something earlier, and must not be set to anything later.
    this.#alarmAtMs = this.#dueAtMs;
    // After a restart of the runtime all sockets are gone and nobody was told.
    if (this.#state.phase === "live" && this.#publishers.size === 0) this.#publisherLeft();
  }

  /** Takes the socket of an upgrade that the edge admitted, or refuses it by header. */
  override async fetch(request: Request): Promise<Response> {
    const admission = parseAdmission(request.headers.get(ADMISSION_HEADER));
    this.#address.learn(decodeSegment(request.headers.get(NAME_HEADER) ?? "") || null);
    const { grant, isRechecked } = admission;
    if (grant !== null && !isRechecked) {
      const doubt = await this.#keyWatch.doubt(grant);
      if (doubt !== null) return refuse(doubt);
    }
    // From here on without a pause: what is decided is done before anything else happens.
    if (this.#publishers.size + this.#audience.size >= MAX_SOCKETS) return refuse("topic-full");
    const isStart = this.describe().phase === "vacant";
    const refusal = this.#apply(this.#arrival(admission));
    return refusal === null ? this.#accept(admission, isStart) : refuse(refusal);
  }

  /** Applies what became of a key, for the domain; returns how many sockets were closed for it. */
  applyKey(keyId: number, standing: KeyStanding): { closed: number; isLive: boolean } {
    const closed = this.#keyWatch.apply(keyId, standing);
    return { closed, isLive: this.#state.phase !== "vacant" };
  }

  /** Says how the topic is, for the operator. */
  describe(): TopicDescription {
    const isOver = this.#state.phase === "grace" && Date.now() >= this.#state.deadlineMs;
    return {
      phase: isOver ? "vacant" : this.#state.phase,
      publishers: this.#publishers.size,
      subscribers: isOver ? 0 : this.#audience.size,
    };
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    const publisher = this.#publishers.get(socket);
    if (publisher === undefined) {
      this.#audience.hear(socket, message);
      return;
    }
    const nowMs = Date.now();
    publisher.lastMessageMs = nowMs;
    if (nowMs >= publisher.recheckAtMs) this.#recheckKeys(nowMs);
    const close = this.#intake.take(publisher, message, this.#policy, nowMs);
    if (close !== null) this.#close(socket, close);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    // The peer waits for this frame: the runtime does not send it for a hibernatable socket.
    if (!this.#dismissed.has(socket)) answerClose(socket, code, reason);
    this.#forget(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.#forget(socket);
  }

  override alarm(): void {
    this.#alarmAtMs = null;
    this.#apply({ type: "alarm-fires" });
    const nowMs = Date.now();
    this.#keyWatch.expire(nowMs);
    if (this.#state.phase === "vacant" && this.#log.isOver(nowMs)) {
      this.#forgetEverything();
    } else {
      this.#log.expire(nowMs);
      this.#wakeForLog();
      // The domain was out of reach.
      if (this.#state.phase !== "vacant" && this.#keyWatch.isUnregistered) {
        this.#keyWatch.register(false);
      }
    }
    this.#wakeForKeys();
  }

  /** What the domain allows; the defaults while nobody has said. */
  get #policy(): Policy {
    return this.#state.phase === "vacant" ? DEFAULT_POLICY : this.#state.policy;
  }

  /** Rebuilds the log and the sockets' maps after a wake; those it cannot place are told to come back. */
  #adoptSockets(isStateKnown: boolean): void {
    this.#log.load(this.#state.phase !== "live");
    const subscribers: [WebSocket, SubscriberAttachment][] = [];
    let position: LogPosition | null = null;
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          this.#publishers.set(socket, new Publisher(socket, attachment));
          this.#keyWatch.add(socket, attachment.grant);
          // One of them was given the place, others may still carry an older one.
          if ((attachment.log?.offset ?? -1) > (position?.offset ?? -1)) position = attachment.log;
          break;
        case "subscriber":
          subscribers.push([socket, attachment]);
          this.#keyWatch.add(socket, attachment.grant);
          break;
        case "dismissed":
          this.#dismissed.add(socket);
          break;
        case undefined:
          this.#dismiss(socket, SERVICE_RESTART);
          break;
      }
    }
    if (position !== null && !this.#log.isDurable) this.#log.restore(position);
    for (const [socket, attachment] of subscribers) this.#audience.adopt(socket, attachment);
  }

  #arrival(admission: Admission): TopicEvent {
    if (admission.role === "subscriber") {
      return {
        type: "subscriber-connects",
        policy: admission.policy,
        isGranted: admission.grant !== null,
        subscribers: this.#audience.size,
      };
    }
    return {
      type: "publisher-connects",
      policy: admission.policy,
      takeover: admission.takeover,
      incumbentSilent: this.#isSilent(),
      publishers: this.#publishers.size,
    };
  }

  /** Accepts the admitted socket for hibernation: tag and attachment are set before any event of it. */
  #accept(admission: Admission, isStart: boolean): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    const { role, subprotocol, grant } = admission;
    this.#address.store();
    this.ctx.acceptWebSocket(server, [role]);
    this.#keyWatch.add(server, grant);
    if (admission.role === "publisher") this.#acceptPublisher(server, admission, isStart);
    else this.#audience.accept(server, admission);
    if (grant !== null && grant.expiresAtMs !== null) this.#wakeBy(grant.expiresAtMs);
    const headers = new Headers();
    if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  #acceptPublisher(
    socket: WebSocket,
    { subprotocol, heartbeatSeconds, policy, grant }: PublisherAdmission,
    isStart: boolean,
  ): void {
    const attachment = {
      v: 1,
      role: "publisher",
      protocol: protocolOf(subprotocol),
      heartbeatSeconds,
      connectedAtMs: Date.now(),
      log: null,
      grant,
    } as const;
    writeAttachment(socket, attachment);
    this.#publishers.set(socket, new Publisher(socket, attachment));
    this.#log.configure(policy);
    this.#rememberLog();
    if (isStart || this.#keyWatch.isUnregistered) this.#keyWatch.register(isStart);
  }

  /** Applies an event: carries out its effects, stores the new state, returns the refusal if any. */
  #apply(event: TopicEvent): Refusal | null {
    const before = this.#state;
    const { state, effects, refusal } = transition(before, event, Date.now());
    for (const effect of effects) {
      switch (effect.type) {
        case "displace-publishers":
          for (const socket of this.#publishers.keys()) this.#dismiss(socket, PUBLISHER_DISPLACED);
          this.#publishers.clear();
          break;
        case "end-topic":
          this.#endTopic();
          break;
        case "set-alarm":
          this.#wakeBy(effect.atMs);
          break;
      }
    }
    if (state === before) return refusal;
    if (state.phase === "vacant") this.#vacate();
    else storeState(this.ctx.storage, state);
    this.#state = state;
    return refusal;
  }

  /** Gives subscribers all there is, then sends them away. */
  #endTopic(): void {
    this.#audience.end(TOPIC_ENDED);
    this.#log.end();
  }

  /** Stores nothing, unless there is a log that is kept for a time. */
  #vacate(): void {
    this.#keyWatch.withdraw();
    const keepUntilMs = this.#log.retire(Date.now());
    if (keepUntilMs === null) {
      this.#alarmAtMs = null;
      void this.ctx.storage.deleteAll();
      this.#wakeForKeys();
      return;
    }
    storeState(this.ctx.storage, VACANT);
    this.#wakeBy(keepUntilMs);
  }

  #forgetEverything(): void {
    this.#log.reset();
    this.#alarmAtMs = null;
    void this.ctx.storage.deleteAll();
  }

  /** Puts publications into the log. If storage fails, nothing that follows could be true: all is dropped. */
  #append(publications: readonly Publication[]): Batch | null {
    try {
      const batch = this.#intake.append(publications);
      this.#wakeForLog();
      return batch;
    } catch (error) {
      // SQLITE_FULL and the like. Publishers see 1006 and no ack, subscribers come back by cursor.
      const reason = error instanceof Error ? error.message : String(error);
      logError({ event: "log-failed", reason });
      this.ctx.abort(`The log failed: ${reason}`);
      throw error;
    }
  }

  /** When the first thing is due that the alarm is for, `null` when nothing is. */
  get #dueAtMs(): number | null {
    const deadlineMs = this.#state.phase === "grace" ? this.#state.deadlineMs : null;
    const keepUntilMs = this.#state.phase === "vacant" ? this.#log.keepUntilMs : null;
    const due = [deadlineMs, keepUntilMs, this.#log.nextExpiryMs, this.#keyWatch.nextExpiryMs];
    const known = due.filter((atMs) => atMs !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  /** Makes sure that the alarm fires at a time or before. */
  #wakeBy(atMs: number): void {
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= atMs) return;
    this.#alarmAtMs = atMs;
    // Not awaited: the output gate holds every answer until it is durable.
    void this.ctx.storage.setAlarm(atMs);
  }

  #wakeForLog(): void {
    const atMs = this.#log.nextExpiryMs;
    if (atMs !== null) this.#wakeBy(atMs);
  }

  #wakeForKeys(): void {
    const atMs = this.#keyWatch.nextExpiryMs;
    if (atMs !== null) this.#wakeBy(atMs);
  }

  /** Has the keys looked at that are in use and were not for some time. */
  #recheckKeys(nowMs: number): void {
    const keyIds: Set<number> = new Set();
    for (const publisher of this.#publishers.values()) {
      const keyId = publisher.attachment.grant?.keyId ?? null;
      if (keyId === null || nowMs < publisher.recheckAtMs) continue;
      publisher.putOffRecheck(nowMs);
      keyIds.add(keyId);
    }
    this.#keyWatch.recheck([...keyIds]);
  }

  #regrant(socket: WebSocket, grant: Grant): void {
    const publisher = this.#publishers.get(socket);
    if (publisher === undefined) this.#audience.regrant(socket, grant);
    else publisher.renew(grant);
  }

  /** Lets the place of a log that is not durable outlive hibernation: in a publisher's attachment. */
  #rememberLog(): void {
    if (this.#log.isDurable) return;
    const [first] = this.#publishers.values();
    if (first !== undefined) {
      first.remember({ log: this.#log.position });
    } else if (this.#state.phase === "grace") {
      // While messages are still on their way any stored place, an older one too, would be given out twice.
      if (this.#audience.fanOut.isIdle) this.#log.store();
      else this.#log.forgetStored();
    }
  }

  /** Whether every publisher has missed its heartbeats. */
  #isSilent(): boolean {
    const nowMs = Date.now();
    return [...this.#publishers].every(([socket, { attachment, lastMessageMs }]) => {
      const { heartbeatSeconds, connectedAtMs } = attachment;
      const lastHeartbeatMs = this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? null;
      return isSilent({ heartbeatSeconds, connectedAtMs, lastHeartbeatMs, lastMessageMs }, nowMs);
    });
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
  #dismiss(socket: WebSocket, { code, reason }: Close): void {
    this.#keyWatch.remove(socket);
    writeAttachment(socket, { v: 1, role: "dismissed" });
    this.#dismissed.add(socket);
    socket.close(code, reason);
  }

  /** Drops a socket that is gone; a publisher's leaving may begin the grace period. */
  #forget(socket: WebSocket): void {
    this.#keyWatch.remove(socket);
    this.#audience.remove(socket);
    if (this.#publishers.delete(socket)) this.#publisherLeft();
    if (this.#dismissed.delete(socket) && this.#isDeserted()) {
      setTimeout(() => void this.#reset(), 0);
    }
  }

  /** Whether the topic is over and the last of its sockets gone. */
  #isDeserted(): boolean {
    const sockets = this.#publishers.size + this.#audience.size + this.#dismissed.size;
    return this.#state.phase === "vacant" && sockets === 0;
  }

  /**
   * Takes a deserted object out of memory. The runtime keeps the TCP connection of a socket that never
   * sent anything, and that the hub closed, until the object leaves memory (workerd 1.20261117): the
   * clients, which wait for its end, would report the close ten seconds late.
   */
  async #reset(): Promise<void> {
    await this.ctx.storage.sync();
    await this.#keyWatch.settled();
    if (this.#isDeserted()) this.ctx.abort("The topic has ended");
  }

  #publisherLeft(): void {
    this.#apply({ type: "publisher-leaves", remaining: this.#publishers.size });
    this.#rememberLog();
  }
}

/** Answers a peer's Close frame with its own code and reason (RFC 6455, section 5.5.1). */
function answerClose(socket: WebSocket, code: number, reason: string): void {
  const answer = answerTo(code);
  if (answer === null) socket.close();
  else socket.close(answer, reason);
}

function refuse(refusal: Refusal): Response {
  return new Response(null, { status: 403, headers: { [REFUSAL_HEADER]: refusal } });
}
