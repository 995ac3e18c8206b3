/** Sends to a socket that may be gone: its close event removes it, and nobody else must suffer. */

/** Sends a frame if its socket is open; returns whether it did. */
export function sendFrame(socket: WebSocket, frame: string | ArrayBuffer): boolean {
  if (socket.readyState !== WebSocket.OPEN) return false;
  try {
    socket.send(frame);
    return true;
  } catch {
    // TypeError: closed since the check.
    return false;
  }
}
