/**
 * mosquitto with its WebSocket listener: the same task as an MQTT broker does it, at QoS 0 and with
 * its packets around each message.
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { freePort } from "../../support/free-port.ts";
import { serverCpu } from "../processes/pinned.ts";
import { createScratchDirectory } from "../processes/scratch-directory.ts";
import { ServerProcess } from "../processes/server-process.ts";
import { RAW_IN_FLIGHT } from "./in-flight.ts";
import { BROADCAST, type Target } from "./target.ts";

/** Where Debian and Ubuntu put it (package mosquitto). */
const MOSQUITTO = "/usr/sbin/mosquitto";

export const mosquitto: Target = {
  name: "mosquitto",
  measurements: BROADCAST,
  unavailable: () =>
    existsSync(MOSQUITTO) ? undefined : "mosquitto is not installed (Debian: mosquitto)",
  async start() {
    const port = await freePort();
    const directory = createScratchDirectory("mosquitto");
    const config = join(directory, "mosquitto.conf");
    await writeFile(config, mosquittoConfig(port, directory));
    const server = new ServerProcess("mosquitto", [MOSQUITTO, "-c", config], { cpu: serverCpu });
    await server.waitForPort(port);
    return {
      pid: server.pid,
      // One topic for all: each measurement's clients are gone before the next one's come.
      endpoint: () => ({
        port,
        publisherPath: "/mqtt",
        subscriberPath: "/mqtt",
        dialect: "mqtt",
        inFlight: RAW_IN_FLIGHT,
      }),
      assertAlive: () => {
        server.assertAlive();
      },
      stop: () => server.stop(),
    };
  },
};

function mosquittoConfig(port: number, directory: string): string {
  // Started by root, it would become a user who may not read the configuration.
  const user = process.getuid?.() === 0 ? "user root" : "";
  return `
${user}
# mosquitto 2.0 ends at once when every listener is one for WebSockets; nobody uses this one.
listener 0 ${directory}/mqtt.sock
listener ${port} 127.0.0.1
protocol websockets
# The library otherwise takes the address for one of IPv6.
socket_domain ipv4
allow_anonymous true
persistence false
log_type error
# Limits that would drop messages under load, which the benchmark counts as a loss.
max_queued_messages 0
max_inflight_messages 0
max_connections -1
`;
}
