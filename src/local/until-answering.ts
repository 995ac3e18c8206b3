/** Waits for a server on this machine. */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds that one question may take. */
const ATTEMPT_MS = 1000;

/** Milliseconds between two questions. */
const PAUSE_MS = 50;

/** Resolves with `true` once anything answers on a port of 127.0.0.1, with whatever status; `false` when time is up. */
export async function untilAnswering(port: number, limit: AbortSignal): Promise<boolean> {
  while (!limit.aborted) {
    if (await isAnswering(port, limit)) return true;
    await sleep(PAUSE_MS);
  }
  return false;
}

function isAnswering(port: number, limit: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.any([limit, AbortSignal.timeout(ATTEMPT_MS)]);
    // An agent of its own knows no proxy, whatever the environment says.
    const request = get({ host: "127.0.0.1", port, agent: new Agent(), signal }, (response) => {
      response.destroy();
      resolve(true);
    });
    // Not listening yet, or listening and not answering.
    request.on("error", () => resolve(false));
  });
}
