/**
 * The one alarm of an object: nothing else sets it. It is derived, after every event and when the object is made,
 * from everything that can be due. What is set is read and not believed: the runtime gives up on an alarm that
 * failed six times (platform limits), and tells nobody.
 * Invariant: where something is due, the alarm fires by then. It may fire earlier: what is due has then moved, and
 * moving the alarm along would cost a row each time.
 */
import { reached } from "../core/coverage-mark.ts";

/** The runtime takes no alarm before 1970 or after 2189; what an attachment says may be anything. */
const FIRST_MS = 1;
const LAST_MS = Date.UTC(2100, 0);

/** The alarm of one object. */
export class Alarm {
  readonly #ctx: DurableObjectState;
  readonly #dueAtMs: () => number | null;
  /** When it fires, `null`: not at all, `undefined` while that is being read. Milliseconds since the epoch. */
  #setAtMs: number | null | undefined = undefined;

  /** `dueAtMs` says when the first thing is due, `null`: nothing is. It is asked often, and must cost little. */
  constructor(ctx: DurableObjectState, dueAtMs: () => number | null) {
    this.#ctx = ctx;
    this.#dueAtMs = dueAtMs;
  }

  /** Reads what is set, and mends it, before anything else happens. */
  async load(): Promise<void> {
    if (this.#dueAtMs() === null) {
      // Nothing has to be read, so that a new topic costs no more: an alarm that is set for nothing does no harm.
      this.clear();
      return;
    }
    this.#setAtMs = await this.#ctx.storage.getAlarm();
    if (this.#setAtMs === null) reached("alarm-lost");
    this.rearm();
  }

  /** Makes sure that it fires in time. */
  rearm(): void {
    if (this.#setAtMs === undefined) return;
    const dueAtMs = this.#dueAtMs();
    if (dueAtMs === null) return;
    const atMs = Math.min(Math.max(dueAtMs, FIRST_MS), LAST_MS);
    if (this.#setAtMs !== null && this.#setAtMs <= atMs) return;
    if (atMs !== dueAtMs) reached("alarm-clamped");
    this.#setAtMs = atMs;
    // Not awaited: the output gate holds every answer until it is durable.
    void this.#ctx.storage.setAlarm(atMs);
  }

  /** It fires, or storage was emptied: none is set. */
  clear(): void {
    this.#setAtMs = null;
  }
}
