/** The targets by name, in the order asked. */
import type { Options } from "../options.ts";
import { createFloor } from "./floor.ts";
import { createHub } from "./hub.ts";
import type { KeyStore } from "./key-store.ts";
import { mosquitto } from "./mosquitto.ts";
import { nchan } from "./nchan.ts";
import type { Target } from "./target.ts";
import { ws } from "./ws.ts";

export function createTargets(options: Options, keyStore: KeyStore): Target[] {
  const { hubConfigPath } = options;
  return options.targets.map((name) => {
    switch (name) {
      case "hub":
      case "hub-durable":
      case "stream":
      case "stream-durable":
        return createHub(name, hubConfigPath, keyStore);
      case "floor":
        return createFloor(hubConfigPath);
      case "ws":
        return ws;
      case "nchan":
        return nchan;
      case "mosquitto":
        return mosquitto;
      default: {
        const configPath = options.variants.get(name);
        if (configPath === undefined) throw new Error(`Unknown target "${name}"`);
        return createHub(name, configPath, keyStore);
      }
    }
  });
}
