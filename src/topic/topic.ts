/**
 * The Durable Object that owns one address: it admits sockets, keeps the topic's phase, and joins its
 * parts: intake, log, fan-out, replay. The rules of the phases are in core/topic-state.ts; here they are
 * carried out. Knows nothing of keys, SQL or routes.
 * Invariant: what memory holds can be rebuilt from storage, `getWebSockets()` and attachments.
 */
import { DurableObject } from "cloudflare:workers";
import { parseAdmission, REFUSAL_HEADER, ADMISSION_HEADER } from "../core/admission.ts";
import type { Admission, Refusal, SubscriberAdmission } from "../core/admission.ts";
import {
  answerTo,
  HISTORY_GAP,
  INVALID_FRAME,
  PUBLISHER_DISPLACED,
  SERVICE_RESTART,
  SLOW_CONSUMER,
  TOPIC_ENDED,
  type Close,
} from "../core/close-code.ts";
import { formatCursor, parseCursor, type Cursor } from "../core/cursor.ts";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE, isSilent } from "../core/heartbeat.ts";
import type { Message } from "../core/message.ts";
import { DEFAULT_POLICY, type Policy } from "../core/policy.ts";
import { parseSince } from "../core/since.ts";
import { formatError, parseCredit } from "../core/stream.ts";
import { protocolOf } from "../core/subprotocol.ts";
import { transition, VACANT, type TopicEvent, type TopicState } from "../core/topic-state.ts";
import { logError } from "../log.ts";
import { readAttachment, writeAttachment, type PublisherAttachment } from "./attachment.ts";
import type { Batch } from "./batch.ts";
import { FanOut } from "./fan-out.ts";
import { Intake } from "./intake.ts";
import { Log, type LogPosition, type Resumption } from "./log.ts";
import type { Publication } from "./publication.ts";
import { Replay } from "./replay.ts";
import { sendFrame } from "./send-frame.ts";
import { loadState, storeState } from "./state-store.ts";
import { Subscriber } from "./subscriber.ts";

/** The runtime takes 32,768 hibernatable sockets; some room is left for those still closing. */
const MAX_SOCKETS = 32_000;

interface Publisher {
  readonly attachment: PublisherAttachment;
  lastMessageMs: number | null;
}

/** One topic. */
export class Topic extends DurableObject<Env> {
  #state: TopicState;
  readonly #log: Log;
  readonly #fanOut: FanOut;
  readonly #replay: Replay;
  readonly #intake: Intake;
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
    this.#log = new Log(ctx.storage);
    this.#fanOut = new FanOut({
      append: (publications) => this.#append(publications),
      isDurable: () => this.#log.isDurable,
      maxBacklogBytes: () => this.#policy.maxBacklogBytes,
      onSlow: (subscriber) => this.#dismissSubscriber(subscriber, SLOW_CONSUMER),
      onIdle: () => this.#rememberLog(),
      hold: (work) => void ctx.blockConcurrencyWhile(work),
    });
    this.#replay = new Replay(this.#log, {
      maxBacklogBytes: () => this.#policy.maxBacklogBytes,
      onProgress: (subscriber, offset) => {
        rememberSubscriber(subscriber, { ...this.#log.head, offset });
      },
      onCurrent: (subscriber) => this.#goLive(subscriber),
      onGap: (subscriber) => this.#dismissSubscriber(subscriber, HISTORY_GAP),
      onSlow: (subscriber) => this.#dismissSubscriber(subscriber, SLOW_CONSUMER),
    });
    this.#intake = new Intake(this.#log, this.#fanOut);
    const state = loadState(ctx.storage);
    this.#state = state ?? VACANT;
    this.#adoptSockets(state !== null);
    // After a restart of the runtime all sockets are gone and nobody was told.
    if (this.#state.phase === "live" && this.#publishers.size === 0) this.#publisherLeft();
  }

  /** Takes the socket of an upgrade that the edge admitted, or refuses it by header. */
  override fetch(request: Request): Response {
    const admission = parseAdmission(request.headers.get(ADMISSION_HEADER));
    if (this.#publishers.size + this.#subscriberCount >= MAX_SOCKETS) return refuse("topic-full");
    const refusal = this.#apply(this.#arrival(admission));
    return refusal === null ? this.#accept(admission) : refuse(refusal);
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    const publisher = this.#publishers.get(socket);
    if (publisher === undefined) {
      this.#hearSubscriber(socket, message);
      return;
    }
    publisher.lastMessageMs = Date.now();
    const { protocol } = publisher.attachment;
    const close = this.#intake.take(socket, protocol, message, this.#policy.maxMessageBytes);
    if (close === null) return;
    this.#dismiss(socket, close);
    this.#publishers.delete(socket);
    this.#publisherLeft();
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
    if (this.#state.phase === "vacant" && this.#log.isOver(nowMs)) {
      this.#forgetEverything();
      return;
    }
    this.#log.expire(nowMs);
    this.#wakeForLog();
  }

  /** What the domain allows; the defaults while nobody has said. */
  get #policy(): Policy {
    return this.#state.phase === "vacant" ? DEFAULT_POLICY : this.#state.policy;
  }

  get #subscriberCount(): number {
    return this.#fanOut.size + this.#replay.size;
  }

  /** Rebuilds the log and the sockets' maps after a wake; those it cannot place are told to come back. */
  #adoptSockets(isStateKnown: boolean): void {
    this.#log.load(this.#state.phase !== "live");
    const subscribers: { subscriber: Subscriber; behind: string | null }[] = [];
    let position: LogPosition | null = null;
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          this.#publishers.set(socket, { attachment, lastMessageMs: null });
          // One of them was given the place, others may still carry an older one.
          if ((attachment.log?.offset ?? -1) > (position?.offset ?? -1)) position = attachment.log;
          break;
        case "subscriber": {
          const { protocol, gap, behind } = attachment;
          subscribers.push({
            subscriber: new Subscriber(socket, protocol, gap === "close"),
            behind,
          });
          break;
        }
        case "dismissed":
          this.#dismissed.add(socket);
          break;
        case undefined:
          this.#dismiss(socket, SERVICE_RESTART);
          break;
      }
    }
    if (position !== null && !this.#log.isDurable) this.#log.restore(position);
    for (const { subscriber, behind } of subscribers) {
      const cursor = behind === null ? null : parseCursor(behind);
      if (cursor === null) this.#fanOut.add(subscriber);
      else this.#follow(subscriber, this.#log.resume({ type: "cursor", cursor }, Date.now()));
    }
  }

  #arrival(admission: Admission): TopicEvent {
    if (admission.role === "subscriber") {
      return { type: "subscriber-connects", policy: admission.policy };
    }
    const { policy, takeover } = admission;
    return { type: "publisher-connects", policy, takeover, incumbentSilent: this.#isSilent() };
  }

  /** Accepts the admitted socket for hibernation: tag and attachment are set before any event of it. */
  #accept(admission: Admission): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    const { role, subprotocol } = admission;
    this.ctx.acceptWebSocket(server, [role]);
    if (admission.role === "publisher") {
      const { heartbeatSeconds } = admission;
      const connectedAtMs = Date.now();
      const attachment = {
        v: 1,
        role: "publisher",
        protocol: protocolOf(subprotocol),
        heartbeatSeconds,
        connectedAtMs,
        log: null,
      } as const;
      writeAttachment(server, attachment);
      this.#publishers.set(server, { attachment, lastMessageMs: null });
      this.#log.configure(admission.policy);
      this.#rememberLog();
    } else {
      this.#acceptSubscriber(server, admission);
    }
    const headers = new Headers();
    if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  #acceptSubscriber(socket: WebSocket, { subprotocol, since, gap }: SubscriberAdmission): void {
    const subscriber = new Subscriber(socket, protocolOf(subprotocol), gap === "close");
    rememberSubscriber(subscriber, null);
    if (since === null) {
      subscriber.open(this.#log.head, null);
      this.#fanOut.add(subscriber);
      return;
    }
    const parsed = parseSince(since);
    // The edge has checked it.
    if (!parsed.ok) throw new Error(parsed.error);
    const resumption = this.#log.resume(parsed.value, Date.now());
    subscriber.open(resumption.gapFrom ?? resumption.cursor, resumption.gapFrom === null);
    this.#follow(subscriber, resumption);
  }

  /** Lets a subscriber go on from a place in the past; tells it of a gap. */
  #follow(subscriber: Subscriber, { cursor, gapFrom }: Resumption): void {
    if (gapFrom !== null) {
      subscriber.gap(gapFrom, cursor);
      if (subscriber.closesOnGap) {
        this.#dismissSubscriber(subscriber, HISTORY_GAP);
        return;
      }
    }
    if (cursor.offset === this.#log.head.offset) this.#fanOut.add(subscriber);
    else this.#replay.add(subscriber, cursor.offset);
  }

  #goLive(subscriber: Subscriber): void {
    rememberSubscriber(subscriber, null);
    this.#fanOut.add(subscriber);
  }

  /** A raw subscriber's data is ignored, and what a dismissed socket still sends is fenced out. */
  #hearSubscriber(socket: WebSocket, message: Message): void {
    const subscriber = this.#fanOut.get(socket) ?? this.#replay.get(socket);
    if (subscriber === undefined || subscriber.protocol === "raw") return;
    const credit = parseCredit(message);
    if (credit.ok) {
      const { epoch } = this.#log.head;
      if (credit.value.epoch === epoch) subscriber.acknowledge(credit.value.offset);
      return;
    }
    const { id, detail } = credit.error;
    sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
    this.#dismissSubscriber(subscriber, INVALID_FRAME);
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
    this.#fanOut.drain();
    this.#replay.drain();
    for (const subscriber of this.#fanOut.release()) {
      subscriber.end();
      this.#dismiss(subscriber.socket, TOPIC_ENDED);
    }
    this.#log.end();
  }

  /** Stores nothing, unless there is a log that is kept for a time. */
  #vacate(): void {
    const keepUntilMs = this.#log.retire(Date.now());
    if (keepUntilMs === null) {
      this.#alarmAtMs = null;
      void this.ctx.storage.deleteAll();
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

  /** Lets the place of a log that is not durable outlive hibernation: in a publisher's attachment. */
  #rememberLog(): void {
    if (this.#log.isDurable) return;
    const [first] = this.#publishers;
    if (first !== undefined) {
      const [socket, { attachment }] = first;
      writeAttachment(socket, { ...attachment, log: this.#log.position });
    } else if (this.#state.phase === "grace") {
      // While messages are still on their way any stored place, an older one too, would be given out twice.
      if (this.#fanOut.isIdle) this.#log.store();
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

  #dismissSubscriber(subscriber: Subscriber, close: Close): void {
    this.#fanOut.remove(subscriber.socket);
    this.#replay.remove(subscriber.socket);
    this.#dismiss(subscriber.socket, close);
  }

  /** Closes a socket from the hub's side; from here on it counts for nothing, after a wake neither. */
  #dismiss(socket: WebSocket, { code, reason }: Close): void {
    writeAttachment(socket, { v: 1, role: "dismissed" });
    this.#dismissed.add(socket);
    socket.close(code, reason);
  }

  /** Drops a socket that is gone; a publisher's leaving may begin the grace period. */
  #forget(socket: WebSocket): void {
    this.#fanOut.remove(socket);
    this.#replay.remove(socket);
    if (this.#publishers.delete(socket)) this.#publisherLeft();
    if (this.#dismissed.delete(socket) && this.#isDeserted()) {
      setTimeout(() => void this.#reset(), 0);
    }
  }

  /** Whether the topic is over and the last of its sockets gone. */
  #isDeserted(): boolean {
    const sockets = this.#publishers.size + this.#subscriberCount + this.#dismissed.size;
    return this.#state.phase === "vacant" && sockets === 0;
  }

  /**
   * Takes a deserted object out of memory. The runtime keeps the TCP connection of a socket that never
   * sent anything, and that the hub closed, until the object leaves memory (workerd 1.20261117): the
   * clients, which wait for its end, would report the close ten seconds late.
   */
  async #reset(): Promise<void> {
    await this.ctx.storage.sync();
    if (this.#isDeserted()) this.ctx.abort("The topic has ended");
  }

  #publisherLeft(): void {
    this.#apply({ type: "publisher-leaves", remaining: this.#publishers.size });
    this.#rememberLog();
  }
}

/** Makes who it is, and how far it has got while it is behind, part of a subscriber's socket. */
function rememberSubscriber(
  { socket, protocol, closesOnGap }: Subscriber,
  behind: Cursor | null,
): void {
  writeAttachment(socket, {
    v: 1,
    role: "subscriber",
    protocol,
    gap: closesOnGap ? "close" : "skip",
    behind: behind === null ? null : formatCursor(behind),
  });
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
