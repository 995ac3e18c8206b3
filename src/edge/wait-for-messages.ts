/**
 * Waits for what a topic has next: on a socket of the edge's own, so that the topic sleeps meanwhile, where a call
 * would keep it awake and billed. The socket is a subscriber as any other, and is given up as soon as anything comes.
 */
import { parseHubFrame } from "../core/hub-frame.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { admit } from "./admit.ts";
import type { Caller } from "./caller.ts";
import type { SubscriberHandshake } from "./handshake.ts";

/** Somebody waits. */
export interface Waiting {
  /** Resolves when there is something to be read, or nobody waits any more; never rejects. */
  readonly over: Promise<void>;
  /** Gives up. */
  readonly stop: () => void;
}

/** Opens the socket, and waits on it for so long at most. */
export async function waitForMessages(
  handshake: SubscriberHandshake,
  caller: Caller,
  seconds: number,
): Promise<Result<Waiting, Problem>> {
  const admitted = await admit(handshake, caller);
  if (!admitted.ok) return admitted;
  const { webSocket } = admitted.value;
  if (webSocket === null) return err({ slug: "internal", detail: "The failure was logged" });
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, seconds * 1000);
  webSocket.addEventListener("message", ({ data }) => {
    const frame = typeof data === "string" ? parseHubFrame(data) : null;
    if (frame?.ok !== true || frame.value.type !== "open") resolve();
  });
  // The topic has ended, or has closed it: a page says more.
  webSocket.addEventListener("close", () => resolve());
  webSocket.addEventListener("error", () => resolve());
  webSocket.accept();
  const over = promise.then(() => {
    clearTimeout(timer);
    webSocket.close(1000);
  });
  return ok({ over, stop: resolve });
}
