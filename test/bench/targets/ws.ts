/** npm `ws` on Node: the server most people would write without a platform. */
import { fileURLToPath } from "node:url";

import { freePort } from "../../support/free-port.ts";
import { serverCpu } from "../processes/pinned.ts";
import { ServerProcess } from "../processes/server-process.ts";
import { RAW_IN_FLIGHT } from "./in-flight.ts";
import { BROADCAST, type Target } from "./target.ts";

const program: string = fileURLToPath(new URL("ws-server.ts", import.meta.url));

export const ws: Target = {
  name: "ws",
  measurements: BROADCAST,
  unavailable: () => undefined,
  async start() {
    const port = await freePort();
    const server = new ServerProcess("ws", [process.execPath, program, String(port)], {
      cpu: serverCpu,
    });
    await server.waitForPort(port);
    return {
      pid: server.pid,
      endpoint: () => ({
        port,
        publisherPath: "/publisher",
        subscriberPath: "/subscriber",
        dialect: "plain",
        inFlight: RAW_IN_FLIGHT,
      }),
      assertAlive: () => {
        server.assertAlive();
      },
      stop: () => server.stop(),
    };
  },
};
