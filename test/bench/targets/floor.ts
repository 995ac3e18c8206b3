/** The floor: the shortest broadcast on a Durable Object, with the hub's date and flags. */
import { fileURLToPath } from "node:url";

import { RAW_IN_FLIGHT } from "./in-flight.ts";
import { BROADCAST, ONE_MESSAGE, type Target } from "./target.ts";
import { type WorkerBundle, bundleWorker } from "./worker-bundle.ts";
import { startWorkerd } from "./workerd.ts";

const configPath: string = fileURLToPath(new URL("../floor/wrangler.toml", import.meta.url));

/** Takes the compatibility date and flags from the hub's configuration: only the code may differ. */
export function createFloor(hubConfigPath: string): Target {
  let bundled: Promise<WorkerBundle> | undefined;
  return {
    name: "floor",
    measurements: [...BROADCAST, "connect", "post", "kick"],
    unavailable: () => undefined,
    async start() {
      bundled ??= bundleWorker(configPath, hubConfigPath);
      const { port, server } = await startWorkerd("floor", await bundled, {});
      let topics = 0;
      return {
        pid: server.pid,
        callsPath: "/calls",
        posts: () => [
          { name: ONE_MESSAGE, path: "/posts/posted", headers: {}, messagesPerPost: 1 },
        ],
        endpoint: () => {
          topics += 1;
          return {
            port,
            publisherPath: `/publisher/t${topics}`,
            subscriberPath: `/subscriber/t${topics}`,
            dialect: "plain",
            inFlight: RAW_IN_FLIGHT,
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
