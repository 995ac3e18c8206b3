/**
 * What it costs the server to take a publisher whose key it knows: one after the other joins a topic that has
 * publishers already, and leaves at once.
 */
import { listProcessTree } from "../processes/process-tree.ts";
import { BenchClient } from "./bench-client.ts";
import { dialects } from "./dialects.ts";
import type { ConnectCommand, ConnectResult } from "./load-command.ts";
import { busyBetween, takeReading } from "./reading.ts";

const CONCURRENT_HANDSHAKES = 16;

export async function measureConnect(command: ConnectCommand): Promise<ConnectResult> {
  const { endpoint, connects, warmupConnects } = command;
  const dialect = dialects[endpoint.dialect];
  let clients = 0;

  /** Begins to connect a publisher. */
  function connect(): BenchClient {
    clients += 1;
    return new BenchClient({
      port: endpoint.port,
      path: endpoint.publisherPath,
      dialect,
      role: "publisher",
      clientId: clients,
      sink: dialect.publisherSink(),
    });
  }

  async function connectInTurn(count: number): Promise<void> {
    let left = count;
    await Promise.all(
      Array.from({ length: CONCURRENT_HANDSHAKES }, async () => {
        while (left > 0) {
          left -= 1;
          const client = connect();
          await client.ready();
          client.destroy();
        }
      }),
    );
  }

  const resident = connect();
  try {
    await resident.ready();
    await connectInTurn(warmupConnects);
    const pids = listProcessTree(command.serverPid);
    const before = takeReading(pids);
    await connectInTurn(connects);
    const { seconds, serverSeconds, busy } = busyBetween(before, takeReading(pids));
    return {
      connectsPerSecond: connects / seconds,
      cpuMicrosPerConnect: (serverSeconds / connects) * 1e6,
      ...busy,
    };
  } finally {
    resident.destroy();
  }
}
