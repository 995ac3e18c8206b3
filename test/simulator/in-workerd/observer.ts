/**
 * Where the simulated clients report to: the course of events, for the report of a failure, and the
 * violations that they come upon in event handlers, which nobody could catch.
 */
import { Violation } from "./violation.ts";

/** How many events a report ends with. */
const REPORTED_EVENTS = 80;
const MAX_EVENT_LENGTH = 180;

/** The course of a scenario. */
export class Observer {
  readonly #events: string[] = [];
  readonly #cursors: string[] = [];
  #failure: Error | null = null;
  #fail: (error: Error) => void = () => {};
  /** Rejects at the first violation. */
  readonly failure: Promise<never>;

  constructor() {
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever runs the scenario awaits it; until then it is not "unhandled".
    this.failure.catch(() => {});
  }

  /** Notes an event. */
  note(event: string): void {
    // Half a pair of surrogates would cost the whole report on its way to the terminal.
    const excerpt = event.slice(0, MAX_EVENT_LENGTH).toWellFormed();
    this.#events.push(event.length > MAX_EVENT_LENGTH ? `${excerpt}…` : excerpt);
  }

  /** Notes a cursor that the hub named. */
  sawCursor(cursor: string): void {
    if (this.#cursors.at(-1) !== cursor) this.#cursors.push(cursor);
  }

  /** The cursor that was seen so many cursors ago. */
  cursorAgo(ago: number): string | null {
    return this.#cursors.at(-1 - ago) ?? null;
  }

  /** Runs an event handler of a client's. */
  watch(name: string, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.report(name, error);
    }
  }

  /** Runs what nobody waits for. */
  async watchAsync(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.report(name, error);
    }
  }

  /** Takes a failure of a client's; the first one counts. */
  report(name: string, error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    this.note(`${name} ! ${cause.message}`);
    if (this.#failure !== null) return;
    this.#failure =
      cause instanceof Violation ? new Violation(`${name}: ${cause.message}`, { cause }) : cause;
    this.#fail(this.#failure);
  }

  /** Throws the first failure, if there was one. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** The last events. */
  tail(): string {
    const omitted = Math.max(0, this.#events.length - REPORTED_EVENTS);
    return [`(${omitted} events before)`, ...this.#events.slice(omitted)].join("\n  ");
  }
}
