/**
 * What a subscription and a publisher have in common: a link, a state that ends once, a promise of it, and events.
 * Knows no frames. Invariant: with the end the link is over, and whatever hangs on the same signal.
 */
import type { HubFrame } from "../core/hub-frame.ts";
import type { HubError } from "./hub-error.ts";
import { Link, type LinkUser, type Verdict } from "./link.ts";
import type { UrlParameters } from "./socket-url.ts";
import type { LinkOptions, State, StateChange } from "./types.ts";

/** Something that is open until it is closed or fails. */
export abstract class Endpoint extends EventTarget implements LinkUser {
  readonly done: Promise<void>;
  protected readonly link: Link;
  /** Aborted with the end. */
  protected readonly over: AbortSignal;
  readonly #over: AbortController = new AbortController();
  readonly #outcome: PromiseWithResolvers<void> = Promise.withResolvers();
  #state: State = "open";

  /** Throws a TypeError for a URL that cannot be. */
  constructor(url: string | URL, options: LinkOptions, heartbeatSeconds: number) {
    super();
    this.over = this.#over.signal;
    this.done = this.#outcome.promise;
    // Nobody has to look at it.
    this.done.catch(() => {});
    this.link = new Link(url, options, heartbeatSeconds * 1000, this, this.over);
    const { signal } = options;
    if (signal?.aborted === true) this.fail(signal.reason);
    signal?.addEventListener("abort", () => this.fail(signal.reason), { signal: this.over });
  }

  get state(): State {
    return this.#state;
  }

  get connected(): boolean {
    return this.link.isConnected;
  }

  /** Ends as failed, unless it has ended. */
  fail(error: unknown): void {
    this.#settle("failed", error);
  }

  /** Ends as failed when its link does not come back. */
  gone(error: unknown): void {
    this.fail(error);
  }

  /** Ends as wanted, unless it has ended. */
  protected end(): void {
    this.#settle("closed", null);
  }

  /** Tells how things are, and why if something went wrong. */
  report(error: unknown): void {
    const { state, connected } = this;
    const change: StateChange = { state, connected, error };
    this.tell("state", change);
  }

  /** Dispatches an event. */
  protected tell(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #settle(state: State, error: unknown): void {
    if (this.#state !== "open") return;
    this.#state = state;
    this.#over.abort();
    if (state === "failed") this.#outcome.reject(error);
    else this.#outcome.resolve();
    this.report(error);
  }

  abstract parameters(): UrlParameters;
  abstract isHeld(): boolean;
  abstract accepted(): void;
  abstract receive(frame: HubFrame, text: string): void;
  abstract lost(error: HubError): Verdict;
}
