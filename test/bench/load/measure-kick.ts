/**
 * How long a revoked key's publishers live on: from the request that revokes it until the Close frame of each,
 * on many live topics, one key after the other.
 */
import { quantile } from "../quantile.ts";
import { BenchClient } from "./bench-client.ts";
import { dialects } from "./dialects.ts";
import type { KickCommand, KickResult, RevocableKey } from "./load-command.ts";

const KEY_REJECTED = 4501;
const PATIENCE_MS = 30_000;

export async function measureKick(command: KickCommand): Promise<KickResult> {
  const latencies: number[] = [];
  for (const key of command.keys) latencies.push(...(await kick(command, key)));
  latencies.sort((a, b) => a - b);
  return {
    topics: command.topics,
    samples: latencies.length,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}

/** Revokes one key; the milliseconds until each of its publishers was told. */
async function kick(
  { endpoint, adminToken, domain, topics, messageBytes }: KickCommand,
  { id, key }: RevocableKey,
): Promise<number[]> {
  const dialect = dialects[endpoint.dialect];
  const frame = dialect.framer(dialect.format(messageBytes)).build(0, 1);
  const publishers = Array.from({ length: topics }, (_, n) => {
    const path = `/ws/pub/${key}/${domain}/kick-${id}-${n}`;
    const sink = dialect.publisherSink();
    const { port } = endpoint;
    return new BenchClient({ port, path, dialect, role: "publisher", clientId: n, sink });
  });
  try {
    await Promise.all(publishers.map((publisher) => publisher.ready()));
    for (const publisher of publishers) publisher.send(frame);
    const startMs = performance.now();
    const told = publishers.map((publisher) => untilTold(publisher, startMs));
    const url = `http://127.0.0.1:${endpoint.port}/v1/domains/${domain}/keys/${id}`;
    const headers = { Authorization: `Bearer ${adminToken}` };
    const response = await fetch(url, { method: "DELETE", headers });
    if (!response.ok) throw new Error(`The hub answered ${response.status} to a revocation`);
    return await Promise.all(told);
  } finally {
    for (const publisher of publishers) publisher.destroy();
  }
}

function untilTold(publisher: BenchClient, startMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`A publisher of a revoked key was not closed within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    publisher.onData = () => {
      if (publisher.closeCode !== KEY_REJECTED) return;
      clearTimeout(timer);
      resolve(performance.now() - startMs);
    };
  });
}
