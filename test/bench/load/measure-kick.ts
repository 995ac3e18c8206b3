/**
 * How long a revoked key's publishers live on: from the request that revokes it until the Close frame of each,
 * on many live topics, one key after the other.
 *
 * Residents, publishers with a key that stays, keep the topics live for one scenario after the other;
 * without residents each key has topics of its own.
 */
import { listProcessTree, readUsage } from "../processes/process-tree.ts";
import { median, quantile } from "../quantile.ts";
import { countAwakeTopics } from "./awake-topics.ts";
import { BenchClient } from "./bench-client.ts";
import { connectInTurn } from "./connect-in-turn.ts";
import { dialects } from "./dialects.ts";
import type { KickCommand, KickLoad, KickResult, RevocableKey } from "./load-command.ts";
import { until } from "./until.ts";

const KEY_REJECTED = 4501;
const PATIENCE_MS = 60_000;

/** What one revocation brought. */
interface Kicked {
  /** From the request to each Close frame. */
  readonly latencies: readonly number[];
  readonly serverSeconds: number;
  /** In memory when the key was revoked. */
  readonly awakeTopics: number;
}

export async function measureKick(command: KickCommand): Promise<KickResult[]> {
  const { residents: wanted, scenarios } = command;
  const residents: BenchClient[] = [];
  const results: KickResult[] = [];
  try {
    if (wanted !== undefined) {
      await connectInTurn(residents, wanted.topics, (n) =>
        publisher(command, wanted.key, topic(n)),
      );
    }
    for (const load of scenarios) {
      const kicks: Kicked[] = [];
      for (const key of load.keys) kicks.push(await kick(command, load, key, residents));
      results.push(summarizeKicks(load, kicks));
    }
  } finally {
    for (const resident of residents) resident.destroy();
  }
  return results;
}

function summarizeKicks({ scenario }: KickLoad, kicks: readonly Kicked[]): KickResult {
  const latencies = kicks.flatMap((each) => each.latencies);
  const serverSeconds = kicks.reduce((total, each) => total + each.serverSeconds, 0);
  return {
    scenario,
    samples: latencies.length,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    lastMs: median(kicks.map((each) => Math.max(...each.latencies))),
    cpuMicrosPerHolder: (serverSeconds / latencies.length) * 1e6,
    awakeTopics: median(kicks.map((each) => each.awakeTopics)),
  };
}

/** Revokes one key. */
async function kick(
  command: KickCommand,
  { scenario }: KickLoad,
  { id, key }: RevocableKey,
  residents: readonly BenchClient[],
): Promise<Kicked> {
  const { endpoint, adminToken, domain, serverPid } = command;
  const dialect = dialects[endpoint.dialect];
  const frame = dialect.framer(dialect.format(command.messageBytes)).build(0, 1);
  const holders: BenchClient[] = [];
  try {
    await connectInTurn(holders, scenario.holders, (n) =>
      publisher(command, key, residents.length > 0 ? topic(n) : `kick-${id}-${n}`),
    );
    for (const client of [...residents, ...holders]) client.send(frame);
    if (scenario.isAsleep) await untilAsleep(serverPid);
    const awakeTopics = countAwakeTopics(serverPid);
    const pids = listProcessTree(serverPid);
    const before = readUsage(pids);
    const startMs = performance.now();
    const told = holders.map((holder) => untilTold(holder, startMs));
    const url = `http://127.0.0.1:${endpoint.port}/v1/domains/${domain}/keys/${id}`;
    const headers = { Authorization: `Bearer ${adminToken}` };
    const revoked = fetch(url, { method: "DELETE", headers });
    const [latencies, response] = await Promise.all([Promise.all(told), revoked]);
    if (!response.ok) throw new Error(`The hub answered ${response.status} to a revocation`);
    const serverSeconds = readUsage(pids).cpuSeconds - before.cpuSeconds;
    const gone = residents.find(({ fault }) => fault !== undefined);
    if (gone !== undefined) throw new Error(`A publisher with another key: ${gone.fault}`);
    return { latencies, serverSeconds, awakeTopics };
  } finally {
    for (const holder of holders) holder.destroy();
  }
}

function topic(n: number): string {
  return `kick-${n}`;
}

function publisher({ endpoint, domain }: KickCommand, key: string, name: string): BenchClient {
  const dialect = dialects[endpoint.dialect];
  return new BenchClient({
    port: endpoint.port,
    path: `/ws/pub/${key}/${domain}/${name}`,
    dialect,
    role: "publisher",
    clientId: 0,
    sink: dialect.publisherSink(),
  });
}

async function untilAsleep(serverPid: number): Promise<void> {
  await until(() => countAwakeTopics(serverPid) === 0, {
    watch: () => undefined,
    what: () => `${countAwakeTopics(serverPid)} topics stayed awake`,
  });
}

function untilTold(holder: BenchClient, startMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`A publisher of a revoked key was not closed within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    holder.onData = () => {
      if (holder.closeCode !== KEY_REJECTED) return;
      clearTimeout(timer);
      resolve(performance.now() - startMs);
    };
  });
}
