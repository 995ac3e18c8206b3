/**
 * The Durable Object that owns one address: it admits sockets, keeps the topic's phase and hands
 * publishers' messages to the fan-out. The rules of the phases are in core/topic-state.ts; here they
 * are carried out. Knows nothing of keys, SQL or routes.
 * Invariant: what memory holds can be rebuilt from storage, `getWebSockets()` and attachments.
 */
import { DurableObject } from "cloudflare:workers";
import { parseAdmission, REFUSAL_HEADER, ADMISSION_HEADER } from "../core/admission.ts";
import type { Admission, Refusal } from "../core/admission.ts";
import {
  answerTo,
  MESSAGE_TOO_LARGE,
  PUBLISHER_DISPLACED,
  SERVICE_RESTART,
  TOPIC_ENDED,
  type Close,
} from "../core/close-code.ts";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE, isSilent } from "../core/heartbeat.ts";
import { transition, VACANT, type TopicEvent, type TopicState } from "../core/topic-state.ts";
import { readAttachment, writeAttachment, type PublisherAttachment } from "./attachment.ts";
import { FanOut, type Message } from "./fan-out.ts";
import { isLargerThan } from "./message-size.ts";
import { loadState, storeState } from "./state-store.ts";

/** The runtime takes 32,768 hibernatable sockets; some room is left for those still closing. */
const MAX_SOCKETS = 32_000;

interface Publisher {
  readonly attachment: PublisherAttachment;
  lastMessageMs: number | null;
}

/** One topic. */
export class Topic extends DurableObject<Env> {
  #state: TopicState;
  readonly #publishers: Map<WebSocket, Publisher> = new Map();
  readonly #fanOut: FanOut = new FanOut();
  /** Closed by the hub, not answered yet. */
  readonly #dismissed: Set<WebSocket> = new Set();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // It survives hibernation but not a restart, and costs nothing to set again.
    ctx.setWebSocketAutoResponse(
      new WebSocketRequestResponsePair(HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE),
    );
    const state = loadState(ctx.storage);
    this.#state = state ?? VACANT;
    this.#adoptSockets(state !== null);
    // After a restart of the runtime all sockets are gone and nobody was told.
    if (this.#state.phase === "live" && this.#publishers.size === 0) this.#publisherLeft();
  }

  /** Takes the socket of an upgrade that the edge admitted, or refuses it by header. */
  override fetch(request: Request): Response {
    const admission = parseAdmission(request.headers.get(ADMISSION_HEADER));
    if (this.#publishers.size + this.#fanOut.size >= MAX_SOCKETS) return refuse("topic-full");
    const refusal = this.#apply(this.#arrival(admission));
    return refusal === null ? this.#accept(admission) : refuse(refusal);
  }

  override webSocketMessage(socket: WebSocket, message: Message): void {
    const publisher = this.#publishers.get(socket);
    // A subscriber's data is ignored; a dismissed publisher's is fenced out.
    if (publisher === undefined || this.#state.phase !== "live") return;
    if (isLargerThan(message, this.#state.policy.maxMessageBytes)) {
      this.#dismiss(socket, MESSAGE_TOO_LARGE);
      this.#publishers.delete(socket);
      this.#publisherLeft();
      return;
    }
    publisher.lastMessageMs = Date.now();
    this.#fanOut.publish(message);
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
    this.#apply({ type: "alarm-fires" });
  }

  /** Rebuilds the sockets' maps after a wake; those it cannot place are told to come back. */
  #adoptSockets(isStateKnown: boolean): void {
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          this.#publishers.set(socket, { attachment, lastMessageMs: null });
          break;
        case "subscriber":
          this.#fanOut.add(socket);
          break;
        case "dismissed":
          this.#dismissed.add(socket);
          break;
        case undefined:
          this.#dismiss(socket, SERVICE_RESTART);
          break;
      }
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
    this.ctx.acceptWebSocket(server, [admission.role]);
    if (admission.role === "publisher") {
      const { heartbeatSeconds } = admission;
      const connectedAtMs = Date.now();
      const attachment = { v: 1, role: "publisher", heartbeatSeconds, connectedAtMs } as const;
      writeAttachment(server, attachment);
      this.#publishers.set(server, { attachment, lastMessageMs: null });
    } else {
      writeAttachment(server, { v: 1, role: "subscriber" });
      this.#fanOut.add(server);
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Applies an event: stores the new state, carries out its effects, returns the refusal if any. */
  #apply(event: TopicEvent): Refusal | null {
    const { state, effects, refusal } = transition(this.#state, event, Date.now());
    if (state !== this.#state) {
      storeState(this.ctx.storage, state);
      this.#state = state;
    }
    for (const effect of effects) {
      switch (effect.type) {
        case "displace-publishers":
          for (const socket of this.#publishers.keys()) this.#dismiss(socket, PUBLISHER_DISPLACED);
          this.#publishers.clear();
          break;
        case "close-subscribers":
          for (const socket of this.#fanOut.release()) this.#dismiss(socket, TOPIC_ENDED);
          break;
        case "set-alarm":
          // Not awaited: the output gate holds every answer until it is durable.
          void this.ctx.storage.setAlarm(effect.atMs);
          break;
      }
    }
    return refusal;
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

  /** Closes a socket from the hub's side; from here on it counts for nothing, after a wake neither. */
  #dismiss(socket: WebSocket, { code, reason }: Close): void {
    writeAttachment(socket, { v: 1, role: "dismissed" });
    this.#dismissed.add(socket);
    socket.close(code, reason);
  }

  /** Drops a socket that is gone; a publisher's leaving may begin the grace period. */
  #forget(socket: WebSocket): void {
    this.#fanOut.remove(socket);
    if (this.#publishers.delete(socket)) this.#publisherLeft();
    if (this.#dismissed.delete(socket) && this.#isDeserted()) {
      setTimeout(() => void this.#reset(), 0);
    }
  }

  /** Whether the topic is over and the last of its sockets gone. */
  #isDeserted(): boolean {
    const sockets = this.#publishers.size + this.#fanOut.size + this.#dismissed.size;
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
