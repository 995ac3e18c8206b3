/**
 * A subscription or a publisher of the client library, as a command watches over it. The library comes back for ever;
 * a command that never got in must say so. Invariant: the hub has a bounded time to let it in the first time, and what
 * ends the command then is one sentence.
 */
import {
  HubError,
  type LinkEvents,
  type LinkOptions,
  type StateChange,
} from "../../client/main.ts";
import { UserError } from "../../local/fail.ts";
import type { Session } from "../session.ts";
import { describeRefusal, type Attempt } from "./remedy.ts";

/** Milliseconds that the hub has to let it in the first time; tests name fewer. */
const FIRST_MS = Number(process.env["WSPUBSUB_CONNECT_LIMIT_MS"] ?? 10_000);

/** What is watched over. */
interface Watched {
  readonly done: Promise<void>;
  addEventListener(name: "state", listener: (event: LinkEvents["state"]) => void): void;
}

/** What is known of it. */
export interface LinkWatchOptions extends Attempt {
  readonly session: Session;
  readonly hubUrl: string;
  /** Whether it comes back when it is cut off. */
  readonly reconnects: boolean;
}

/** Watches over one. */
export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #giveUp: AbortController = new AbortController();
  #hasBeenIn = false;
  #isCutOff = false;
  #lastError: unknown = null;

  constructor(options: LinkWatchOptions) {
    this.#options = options;
  }

  /** What the library is to be given. */
  get linkOptions(): LinkOptions {
    return {
      signal: this.#giveUp.signal,
      ...(!this.#options.reconnects && { WebSocket: this.#onlyOne() }),
    };
  }

  /** Whether the hub has ever let it in: before that nothing can have happened. */
  get hasBeenIn(): boolean {
    return this.#hasBeenIn;
  }

  /** Begins. */
  watch(watched: Watched): void {
    const timer = setTimeout(() => this.#fail(this.#lastError), FIRST_MS);
    const stop = (): void => clearTimeout(timer);
    watched.done.then(stop, stop);
    watched.addEventListener("state", ({ detail }) => {
      this.#note(detail);
      if (this.#hasBeenIn) stop();
    });
  }

  /** What a failure of the library means, as a sentence for people. */
  explain(error: unknown): Error {
    if (!(error instanceof HubError))
      return error instanceof Error ? error : new Error(String(error));
    if (error.code === NO_CLOSE_FRAME) {
      const where = `${this.#hasBeenIn ? "Lost" : "Cannot reach"} the hub at ${this.#options.hubUrl}`;
      return new UserError(`${where} (${error.slug}): wspubsub doctor finds out why`);
    }
    return new UserError(describeRefusal(error, this.#options));
  }

  #note({ state, connected, error }: StateChange): void {
    const { session, reconnects } = this.#options;
    if (state !== "open") return;
    if (connected) {
      if (this.#isCutOff) session.note("Connected again.");
      this.#hasBeenIn = true;
      this.#isCutOff = false;
      return;
    }
    if (error === null) return;
    this.#lastError = error;
    // Whoever waits for a topic has reached the hub.
    if (error instanceof HubError && error.code === TOPIC_NOT_LIVE) this.#hasBeenIn = true;
    const isConflict = error instanceof HubError && error.slug === "publisher-conflict";
    if (isConflict && !this.#hasBeenIn) return this.#fail(error);
    if (reconnects && this.#hasBeenIn && !this.#isCutOff && isCut(error)) {
      session.note(`Cut off (${slugOf(error)}): connecting again.`);
      this.#isCutOff = true;
    }
  }

  /** A WebSocket that there is once: the library then hands over what it has, and fails with what is thrown. */
  #onlyOne(): typeof WebSocket {
    let isUsed = false;
    const explain = (): Error => this.explain(this.#lastError);
    return class extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        if (isUsed) throw explain();
        super(...args);
        isUsed = true;
      }
    };
  }

  #fail(error: unknown): void {
    const unanswered = new HubError("no-answer", "The hub does not answer", {
      code: NO_CLOSE_FRAME,
    });
    this.#giveUp.abort(this.explain(error ?? unanswered));
  }
}

/** RFC 6455, section 7.1.5: the hub had no part in it. */
const NO_CLOSE_FRAME = 1006;
const TOPIC_NOT_LIVE = 4404;
const NORMAL_CLOSURE = 1000;
const TOKEN_EXPIRED = 4401;
/** From here on a code means: do not reconnect (PROTOCOL.md, 8.1). */
const FIRST_FINAL_CODE = 4500;

/** That a topic ended, or has not started, is told in other words. */
const TOLD_ELSEWHERE: ReadonlySet<number> = new Set([
  NORMAL_CLOSURE,
  TOPIC_NOT_LIVE,
  TOKEN_EXPIRED,
]);

/** Whether it comes back, and people should know of it; what is final ends the command. */
function isCut(error: unknown): boolean {
  const code = error instanceof HubError ? error.code : null;
  return code === null || (code < FIRST_FINAL_CODE && !TOLD_ELSEWHERE.has(code));
}

function slugOf(error: unknown): string {
  return error instanceof HubError ? error.slug : String(error);
}
