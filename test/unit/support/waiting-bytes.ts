/** Sockets for which as much waits as a test says, whatever the runtime tells. */
import { afterAll, beforeAll, beforeEach } from "vitest";

/** What waits for each socket. */
export interface WaitingBytes {
  /** Nothing, before each test. */
  each: number;
}

/** Replaces what the runtime tells, in this file. */
export function useWaitingBytes(): WaitingBytes {
  const waiting: WaitingBytes = { each: 0 };
  const { bufferedAmount } = Object.getOwnPropertyDescriptors(WebSocket.prototype);

  beforeAll(() => {
    Object.defineProperty(WebSocket.prototype, "bufferedAmount", {
      get: () => waiting.each,
      configurable: true,
    });
  });

  beforeEach(() => {
    waiting.each = 0;
  });

  afterAll(() => {
    if (bufferedAmount === undefined) Reflect.deleteProperty(WebSocket.prototype, "bufferedAmount");
    else Object.defineProperty(WebSocket.prototype, "bufferedAmount", bufferedAmount);
  });
  return waiting;
}
