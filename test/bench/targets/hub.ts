/**
 * The hub itself, or another Worker with the hub's routes (a variant, to compare two versions of it).
 */
import type { KeyStore } from "./key-store.ts";
import type { Target } from "./target.ts";
import { type WorkerBundle, bundleWorker } from "./worker-bundle.ts";
import { startWorkerd } from "./workerd.ts";

export function createHub(name: string, configPath: string, keyStore: KeyStore): Target {
  let bundled: Promise<WorkerBundle> | undefined;
  return {
    name,
    unavailable: () => undefined,
    async start() {
      bundled ??= bundleWorker(configPath);
      const bundle = await bundled;
      const secrets: Record<string, string> = {};
      for (const secret of bundle.secrets) {
        if (secret !== "DATABASE_URL")
          throw new Error(`The benchmark has no value for "${secret}"`);
        secrets[secret] = await keyStore.start();
      }
      const { port, server } = await startWorkerd(name, bundle, secrets);
      let topics = 0;
      return {
        pid: server.pid,
        endpoint: () => {
          topics += 1;
          return {
            port,
            publisherPath: `/ws/pub/${keyStore.key}/${keyStore.domain}/t${topics}`,
            subscriberPath: `/ws/sub/${keyStore.domain}/t${topics}`,
            dialect: "plain",
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
