/**
 * What a caller holds of a subscription or a publisher: a state that ends once, a promise of it, and events. Knows no
 * frames. Invariant: whatever hangs on `over` ends with it.
 */
import type { LinkOptions, State, StateChange } from "./types.ts";

/** What the caller sees. */
export interface Face extends EventTarget {
  state: State;
  connected: boolean;
  readonly done: Promise<void>;
}

/** A face, and what is behind it. */
export interface Life {
  readonly face: Face;
  /** Is aborted with the end. */
  readonly over: AbortSignal;
  /** Dispatches an event. */
  readonly tell: (name: string, detail: unknown) => void;
  /** Tells how things are, and why if something went wrong. */
  readonly changed: (connected: boolean, error: unknown) => void;
  /** Ends it, unless it has ended. */
  readonly end: (state: State, error?: unknown) => void;
}

/** Begins one. */
export function beginLife({ signal }: LinkOptions): Life {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const over = new AbortController();
  const face = Object.assign<EventTarget, Pick<Face, "state" | "connected" | "done">>(
    new EventTarget(),
    { state: "open", connected: false, done },
  );
  const tell: Life["tell"] = (name, detail) => {
    face.dispatchEvent(new CustomEvent(name, { detail }));
  };
  const changed: Life["changed"] = (connected, error) => {
    face.connected = connected;
    tell("state", { state: face.state, connected, error } satisfies StateChange);
  };
  const end: Life["end"] = (state, error = null) => {
    if (face.state !== "open") return;
    face.state = state;
    over.abort();
    if (state === "failed") reject(error);
    else resolve();
    changed(false, error);
  };
  const abort = (): void => end("failed", signal?.reason);
  // Nobody has to look at it.
  done.catch(ignore);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { signal: over.signal });
  return { face, over: over.signal, tell, changed, end };
}

/** Does nothing. */
export function ignore(): void {}
