/**
 * The hub itself, or another Worker with the hub's routes (a variant, to compare two versions of it),
 * used in the way that the target's name says.
 */
import { hubKindOf } from "./hub-kind.ts";
import { RAW_IN_FLIGHT, STREAM_IN_FLIGHT } from "./in-flight.ts";
import { DURABLE_DOMAIN, type KeyStore, SHARED_DOMAIN, TEST_DOMAIN } from "./key-store.ts";
import type { Target } from "./target.ts";
import { type WorkerBundle, bundleWorker } from "./worker-bundle.ts";
import { startWorkerd } from "./workerd.ts";

const ADMIN_TOKEN = "an-admin-token-for-the-benchmark-alone";

/** By configuration: targets that use the same Worker in several ways build it once. */
const bundles = new Map<string, Promise<WorkerBundle>>();

export function createHub(name: string, configPath: string, keyStore: KeyStore): Target {
  const { isStream, isDurable, measurements } = hubKindOf(name);
  const { domain, key } = isDurable ? DURABLE_DOMAIN : TEST_DOMAIN;
  return {
    name,
    measurements,
    unavailable: () => undefined,
    async start() {
      const bundle = await bundleOnce(configPath);
      const { databaseUrl, queryCountUrl, addSharedKeys } = await keyStore.start();
      const known = new Map([
        ["DATABASE_URL", databaseUrl],
        ["ADMIN_TOKEN", ADMIN_TOKEN],
      ]);
      const secrets: Record<string, string> = {};
      for (const secret of bundle.secrets) {
        const value = known.get(secret);
        if (value === undefined) throw new Error(`The benchmark has no value for "${secret}"`);
        secrets[secret] = value;
      }
      const { port, server } = await startWorkerd(name, bundle, secrets);
      let topics = 0;
      return {
        pid: server.pid,
        queryCountUrl,
        revocation: async (keys) => ({
          adminToken: ADMIN_TOKEN,
          domain: SHARED_DOMAIN.domain,
          residentKey: SHARED_DOMAIN.key,
          keys: await addSharedKeys(keys),
        }),
        endpoint: (measurement) => {
          topics += 1;
          const of = measurement === "connect" ? SHARED_DOMAIN : { domain, key };
          return {
            port,
            publisherPath: `/ws/pub/${of.key}/${of.domain}/t${topics}`,
            subscriberPath: `/ws/sub/${of.domain}/t${topics}`,
            dialect: isStream ? "stream" : "plain",
            sinceParameter: "since",
            inFlight: isStream ? STREAM_IN_FLIGHT : RAW_IN_FLIGHT,
          };
        },
        assertAlive: () => {
          server.assertAlive();
        },
        stop: () => server.stop(),
      };
    },
  };
}

function bundleOnce(configPath: string): Promise<WorkerBundle> {
  const bundled = bundles.get(configPath) ?? bundleWorker(configPath);
  bundles.set(configPath, bundled);
  return bundled;
}
