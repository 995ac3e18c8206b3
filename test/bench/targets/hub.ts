/**
 * The hub itself, or another Worker with the hub's routes (a variant, to compare two versions of it),
 * used in the way that the target's name says.
 */
import { countRows } from "./count-rows.ts";
import { hubKindOf } from "./hub-kind.ts";
import { RAW_IN_FLIGHT, STREAM_IN_FLIGHT } from "./in-flight.ts";
import {
  type Domain,
  DURABLE_DOMAIN,
  ENDING_DOMAIN,
  type KeyStore,
  SHARED_DOMAIN,
  TEST_DOMAIN,
} from "./key-store.ts";
import type { Endpoint, PostScenario } from "../load/load-command.ts";
import { ONE_MESSAGE, type Target } from "./target.ts";
import { type WorkerBundle, bundleWorker } from "./worker-bundle.ts";
import { startWorkerd } from "./workerd.ts";

const ADMIN_TOKEN = "an-admin-token-for-the-benchmark-alone";

/** By configuration: targets that use the same Worker in several ways build it once. */
const bundles = new Map<string, Promise<WorkerBundle>>();

export function createHub(name: string, configPath: string, keyStore: KeyStore): Target {
  const { isStream, isDurable, measurements } = hubKindOf(name);
  return {
    name,
    measurements,
    unavailable: () => undefined,
    async start() {
      const bundle = await bundleOnce(configPath);
      const { databaseUrl, queryCountUrl, addSharedKeys, addDelayed } = await keyStore.start();
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
      const { port, server, storage } = await startWorkerd(name, bundle, secrets);
      let topics = 0;
      const topicOf = ({ domain, key }: Domain): Endpoint => {
        topics += 1;
        return {
          port,
          publisherPath: `/ws/pub/${key}/${domain}/t${topics}`,
          subscriberPath: `/ws/sub/${domain}/t${topics}`,
          dialect: isStream ? "stream" : "plain",
          sinceParameter: "since",
          inFlight: isStream ? STREAM_IN_FLIGHT : RAW_IN_FLIGHT,
        };
      };
      const postTo = (
        scenario: string,
        { domain, key }: Domain,
        messagesPerPost: number,
      ): PostScenario => {
        topics += 1;
        const type = messagesPerPost === 1 ? "text/plain" : "application/x-ndjson";
        return {
          name: scenario,
          path: `/v1/domains/${domain}/topics/t${topics}/messages`,
          headers: { Authorization: `Bearer ${key}`, "Content-Type": type },
          messagesPerPost,
        };
      };
      return {
        pid: server.pid,
        queryCountUrl,
        posts: () => [
          postTo(ONE_MESSAGE, SHARED_DOMAIN, 1),
          postTo("100 lines", SHARED_DOMAIN, 100),
          postTo("one message, exclusive", TEST_DOMAIN, 1),
        ],
        revocation: async (keys) => ({
          adminToken: ADMIN_TOKEN,
          domain: SHARED_DOMAIN.domain,
          residentKey: SHARED_DOMAIN.key,
          keys: await addSharedKeys(keys),
        }),
        history: {
          endpoint: async (delayMs) => topicOf(await addDelayed(delayMs)),
          countRows: () => countRows(storage),
        },
        endpoint: (measurement) => {
          // What the history's rows are compared with has none.
          const isPlain = !isDurable || measurement === "history";
          if (measurement === "connect") return topicOf(SHARED_DOMAIN);
          if (measurement === "ends") return topicOf(ENDING_DOMAIN);
          return topicOf(isPlain ? TEST_DOMAIN : DURABLE_DOMAIN);
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
