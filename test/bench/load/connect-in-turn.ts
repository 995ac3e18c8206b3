/** Connects many clients, a few at a time, so that the server's accept queue never overflows. */
import type { BenchClient } from "./bench-client.ts";

const CONCURRENT_HANDSHAKES = 64;

/** Adds `count` clients to `clients`, each when its handshake begins; settles when all are ready. */
export async function connectInTurn(
  clients: BenchClient[],
  count: number,
  connect: (n: number) => BenchClient,
): Promise<void> {
  let next = 0;
  const inTurn = async (): Promise<void> => {
    while (next < count) {
      const client = connect(next);
      next += 1;
      clients.push(client);
      await client.ready();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_HANDSHAKES }, inTurn));
}
