/** Sends to a socket that may be gone: its close event removes it, and nobody else must suffer. */
import { reached } from "../core/coverage-mark.ts";
import type { Message } from "../core/message.ts";

/** Sends a frame if the socket is open. */
export function sendFrame(socket: WebSocket, frame: Message): void {
  sendFrames(socket, [frame]);
}

/** Sends frames, in order, if the socket is open. */
export function sendFrames(socket: WebSocket, frames: readonly Message[]): void {
  if (socket.readyState !== WebSocket.OPEN) {
    reached("send-too-late");
    return;
  }
  try {
    for (const frame of frames) socket.send(frame);
  } catch {
    // TypeError: closed since the check.
    reached("send-failed");
  }
}
