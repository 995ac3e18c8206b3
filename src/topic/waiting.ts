/**
 * The sockets that wait for a topic to start: how many there are, how many of them one client has, and when the first
 * one's time is over. An index: client and deadline are each one's own. Knows neither phases nor frames.
 * Invariant: nothing of one that has left is kept, and no newcomer makes it walk those that are here.
 */
import { MAX_WAIT_SECONDS } from "../core/connect-options.ts";
import type { WaitingMember } from "./waiting-member.ts";

/** The longest wait, and the second to which deadlines go up: beyond it a clock was ahead. */
const MAX_WAIT_MS = (MAX_WAIT_SECONDS + 1) * 1000;
/** Places on a topic. */
const MAX_PLACES = 1000;
/** Of them those of one client. */
const MAX_PLACES_EACH = 256;

/** Those who wait for one topic. */
export class Waiting extends Map<WebSocket, WaitingMember> {
  /** How many places clients have, by their numbers. */
  readonly #counts: Map<number, number> = new Map();
  /** No later than the first deadline; found out anew when that has passed. */
  #nextDeadlineMs = Infinity;

  /** Whether one more of a client's may wait. */
  hasRoom(client: number): boolean {
    return this.size < MAX_PLACES && (this.#counts.get(client) ?? 0) < MAX_PLACES_EACH;
  }

  /** Takes one that is not here yet. */
  add(member: WaitingMember): void {
    bringForward(member, Date.now());
    const { client, untilMs } = member.attachment;
    this.set(member.socket, member);
    this.#counts.set(client, (this.#counts.get(client) ?? 0) + 1);
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, untilMs);
  }

  /** Drops one that waits no more. */
  override delete(socket: WebSocket): boolean {
    const member = this.get(socket);
    if (member === undefined) return false;
    const { client } = member.attachment;
    const others = (this.#counts.get(client) ?? 1) - 1;
    if (others > 0) this.#counts.set(client, others);
    else this.#counts.delete(client);
    return super.delete(socket);
  }

  /** When the next one's time is over, or earlier; `null`: nobody waits. Cheap: every batch asks. */
  get nextDeadlineMs(): number | null {
    return this.size === 0 ? null : this.#nextDeadlineMs;
  }

  /** Those whose time is over; walks all of them, once an alarm. */
  findOverdue(nowMs: number): WaitingMember[] {
    const overdue: WaitingMember[] = [];
    this.#nextDeadlineMs = Infinity;
    for (const member of this.values()) {
      bringForward(member, nowMs);
      const { untilMs } = member.attachment;
      if (untilMs <= nowMs) overdue.push(member);
      else this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, untilMs);
    }
    return overdue;
  }
}

/** Its deadline is none that lies further ahead than anybody waits: the clock was set back. */
function bringForward(member: WaitingMember, nowMs: number): void {
  const latestMs = nowMs + MAX_WAIT_MS;
  if (member.attachment.untilMs > latestMs) member.remember({ untilMs: latestMs });
}
