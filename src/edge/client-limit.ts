/**
 * What a client may do in vain before it is refused for a while. The count is Cloudflare's, one a location and
 * eventually consistent; it cannot be asked without counting, so this isolate remembers what it said last.
 * Invariant: clients that are remembered are bounded in number.
 */
import QuickLRU from "quick-lru";
import { logError } from "../log.ts";

/** How long a client that was over the limit is refused before it may try again. */
const BLOCK_MS = 10_000;
/** Clients; the library keeps up to twice as many. */
const MAX_CLIENTS = 10_000;

/** The rate limits that the hub is bound to. */
type Binding = {
  [Name in keyof Env]: Env[Name] extends RateLimit ? Name : never;
}[keyof Env];

/** One limit. */
export class ClientLimit {
  readonly #binding: Binding;
  readonly #blockedUntilMs: QuickLRU<string, number> = new QuickLRU({ maxSize: MAX_CLIENTS });
  /** Until when any of them is blocked. */
  #anyUntilMs = 0;

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  /** Whether a client has tried too much of late; its name is not asked for while nobody has. */
  isOver(caller: { readonly client: string }): boolean {
    const nowMs = Date.now();
    return nowMs < this.#anyUntilMs && (this.#blockedUntilMs.peek(caller.client) ?? 0) > nowMs;
  }

  /** Counts one try of a client that was in vain. */
  async count({ env, client }: { readonly env: Env; readonly client: string }): Promise<void> {
    const counter: RateLimit | undefined = env[this.#binding];
    if (counter === undefined) {
      // wrangler's environments inherit no bindings. The request is answered as ever, and nobody is counted.
      logError({ event: "rate-limit-missing", binding: this.#binding });
      return;
    }
    const { success } = await counter.limit({ key: client });
    if (success) return;
    this.#anyUntilMs = Date.now() + BLOCK_MS;
    this.#blockedUntilMs.set(client, this.#anyUntilMs);
  }
}
