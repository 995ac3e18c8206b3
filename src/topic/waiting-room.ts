/**
 * Waiting for a topic to start: a socket that waits has a place with a deadline. It becomes a subscriber in the step in
 * which a life begins, and goes when its time is over. Knows neither publishers nor handshakes.
 * Invariants: nobody waits on a topic that is not vacant, and nothing is stored of those that wait but the alarm.
 */
import type { SubscriberAdmission, Wait } from "../core/admission.ts";
import { SERVICE_RESTART, TOO_MANY_SUBSCRIBERS, TOPIC_NOT_LIVE } from "../core/close-code.ts";
import type { Policy } from "../core/policy.ts";
import { checkedSince } from "../core/since.ts";
import type { Audience } from "../delivery/audience.ts";
import { logError } from "../log.ts";
import { begunAttachment, waitingAttachment } from "./attachment.ts";
import type { Members } from "./members.ts";
import { SubscriberMember } from "./subscriber-member.ts";
import { WaitingMember } from "./waiting-member.ts";

/** Deadlines are whole seconds, so that a thousand of them set no more than 60 alarms. */
const STEP_MS = 1000;

/** The parts of a topic that somebody waits for. */
export interface AwaitedParts {
  readonly audience: Audience;
  readonly members: Members;
}

/** Makes a newcomer of an admission that waits. */
export function waitingNewcomer(
  socket: WebSocket,
  admission: SubscriberAdmission,
  { seconds, client }: Wait,
  nowMs: number,
): WaitingMember {
  const untilMs = Math.ceil((nowMs + seconds * 1000) / STEP_MS) * STEP_MS;
  return new WaitingMember(socket, waitingAttachment(admission, { client, untilMs }, nowMs));
}

/** Those who wait for one topic to start. */
export class WaitingRoom {
  readonly #parts: AwaitedParts;

  constructor(parts: AwaitedParts) {
    this.#parts = parts;
  }

  /** A life begins: they come in, in the order in which they came, as far as its policy lets them. */
  open({ maxSubscribers }: Policy, nowMs: number): void {
    const { members } = this.#parts;
    if (members.waiting.size === 0) return;
    const inOrder = [...members.waiting.values()].toSorted(
      (one, other) => one.attachment.connectedAtMs - other.attachment.connectedAtMs,
    );
    const excess: WebSocket[] = [];
    for (const waiting of inOrder) {
      const isFull = members.subscribers.size >= (maxSubscribers ?? Infinity);
      if (isFull) excess.push(waiting.socket);
      else this.#admit(waiting, nowMs);
    }
    members.dismissAll(excess, TOO_MANY_SUBSCRIBERS);
  }

  /** Closes whose time is over. */
  expire(nowMs: number): void {
    const { members } = this.#parts;
    const overdue = members.waiting.findOverdue(nowMs);
    members.dismissAll(
      overdue.map(({ socket }) => socket),
      TOPIC_NOT_LIVE,
    );
  }

  /** As if it had come just now. */
  #admit({ socket, attachment }: WaitingMember, nowMs: number): void {
    const { audience, members } = this.#parts;
    const begun = begunAttachment(attachment, members.comesAtMs(nowMs));
    const newcomer = new SubscriberMember(socket, begun);
    members.remove(socket);
    newcomer.remember();
    // Its key was looked at when it came.
    members.add(newcomer, attachment.connectedAtMs);
    try {
      audience.accept(newcomer, checkedSince(attachment.since));
    } catch (error) {
      // The log could not be read for this one: that is to keep neither the publisher nor the others out.
      logError({ event: "newcomer-not-served", error: String(error) });
      members.dismiss(socket, SERVICE_RESTART);
    }
  }
}
