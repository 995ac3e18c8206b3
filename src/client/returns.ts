/** Moments at which a page, or its network, is back. */

const MOMENTS = ["online", "pageshow", "resume", "visibilitychange"];

/** Tells of each, and whether it is the network's, until the signal is aborted. Outside of pages there are none. */
export function watchReturns(tell: (isNetwork: boolean) => void, signal: AbortSignal): void {
  for (const name of MOMENTS) {
    globalThis.addEventListener?.(
      name,
      () => {
        const isNetwork = name === "online";
        if (isNetwork || !globalThis.document?.hidden) tell(isNetwork);
      },
      // Those of the document do not all bubble.
      { capture: true, signal },
    );
  }
}
