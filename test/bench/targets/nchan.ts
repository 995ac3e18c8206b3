/**
 * nchan, the pub/sub module of nginx, with one worker process and memory-only messages: what C does
 * with the same task.
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { freePort } from "../../support/free-port.ts";
import { serverCpu } from "../processes/pinned.ts";
import { createScratchDirectory } from "../processes/scratch-directory.ts";
import { ServerProcess } from "../processes/server-process.ts";
import { NCHAN_IN_FLIGHT } from "./in-flight.ts";
import { BROADCAST, type Target } from "./target.ts";

/** Where Debian and Ubuntu put them (packages nginx and libnginx-mod-nchan). */
const NGINX = "/usr/sbin/nginx";
const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

export const nchan: Target = {
  name: "nchan",
  measurements: [...BROADCAST, "storm"],
  unavailable: () =>
    existsSync(NGINX) && existsSync(MODULE)
      ? undefined
      : "nginx with nchan is not installed (Debian: nginx, libnginx-mod-nchan)",
  async start() {
    const port = await freePort();
    const directory = createScratchDirectory("nchan");
    const config = join(directory, "nginx.conf");
    await writeFile(config, nginxConfig(port, directory));
    const server = new ServerProcess("nchan", [NGINX, "-c", config, "-e", "stderr"], {
      cpu: serverCpu,
    });
    await server.waitForPort(port);
    let topics = 0;
    return {
      pid: server.pid,
      endpoint: (measurement) => {
        topics += 1;
        return {
          port,
          publisherPath: `/publisher/t${topics}`,
          subscriberPath: `/subscriber/t${topics}`,
          // Only the subprotocol with ids tells subscribers where to go on.
          dialect: measurement === "storm" ? "nchan-meta" : "plain",
          sinceParameter: "last_event_id",
          inFlight: NCHAN_IN_FLIGHT,
        };
      },
      assertAlive: () => {
        server.assertAlive();
      },
      stop: () => server.stop(),
    };
  },
};

function nginxConfig(port: number, directory: string): string {
  const temporaryPaths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  // Started by root, nginx would give its worker to a user who may not read the directory.
  const user = process.getuid?.() === 0 ? "user root;" : "";
  return `
load_module ${MODULE};
${user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${directory}/nginx.pid;
error_log stderr error;
events {
  worker_connections 16384;
  # One connection per turn of the loop, the default, lets nobody in while thousands are served.
  multi_accept on;
}
http {
  access_log off;
  ${temporaryPaths.join("\n  ")}
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/publisher/(.+)$ {
      nchan_publisher websocket;
      nchan_channel_id $1;
      # More than the benchmark ever has in flight: an overwritten message would be a lost one.
      nchan_message_buffer_length 4096;
      nchan_message_timeout 1m;
    }
    location ~ ^/subscriber/(.+)$ {
      nchan_subscriber websocket;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_subscriber_last_message_id $arg_last_event_id;
      nchan_websocket_ping_interval 0;
    }
  }
}
`;
}
