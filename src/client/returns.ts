/**
 * Moments at which a page, or its network, is back. `resume` is not among them: a page that was frozen finds its
 * timers late.
 */

const MOMENTS = ["online", "pageshow", "visibilitychange"];

/** Tells of each, and whether it is the network's, until the signal is aborted. Outside of pages there are none. */
export function watchReturns(tell: (isNetwork: boolean) => void, signal: AbortSignal): void {
  for (const name of MOMENTS) {
    globalThis.addEventListener?.(
      name,
      () => {
        const isNetwork = name === "online";
        if (isNetwork || !globalThis.document?.hidden) tell(isNetwork);
      },
      { signal },
    );
  }
}
