/** When a socket that was closed has ended. Closes nothing itself. */

/** The `readyState` of a socket that has ended. */
const CLOSED = 3;
/** A socket that says nothing of its end has ended. */
const CLOSE_MS = 2_000;

/** Resolves when it has. */
export function closeOf(socket: WebSocket | undefined): Promise<void> | undefined {
  if (socket === undefined || socket.readyState === CLOSED) return undefined;
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, CLOSE_MS);
    socket.addEventListener("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
