/**
 * workerd serving one bundled Worker directly, without the development proxy in front: the same
 * binary and the same kind of configuration for every Worker that is compared.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { freePort } from "../../support/free-port.ts";
import { serverCpu } from "../processes/pinned.ts";
import { ServerProcess } from "../processes/server-process.ts";
import type { WorkerBundle } from "./worker-bundle.ts";

export interface WorkerdServer {
  readonly port: number;
  readonly server: ServerProcess;
  /** The folder of its objects. */
  readonly storage: string;
}

export const workerdPath: string = findWorkerd();

export async function startWorkerd(
  name: string,
  bundle: WorkerBundle,
  secrets: Readonly<Record<string, string>>,
): Promise<WorkerdServer> {
  const port = await freePort();
  const storage = join(bundle.directory, `objects-${port}`);
  await mkdir(storage);
  const config = join(bundle.directory, `config-${port}.capnp`);
  await writeFile(config, workerdConfig(bundle, port, storage, secrets));
  const server = new ServerProcess(name, [workerdPath, "serve", config], { cpu: serverCpu });
  await server.waitForPort(port);
  return { port, server, storage };
}

function workerdConfig(
  bundle: WorkerBundle,
  port: number,
  storage: string,
  secrets: Readonly<Record<string, string>>,
): string {
  const namespaces = bundle.objects.map(
    ({ className }) =>
      `(className = ${quote(className)}, uniqueKey = ${quote(className)}, enableSql = true)`,
  );
  const bindings = [
    ...bundle.objects.map(
      ({ binding, className }) =>
        `(name = ${quote(binding)}, durableObjectNamespace = ${quote(className)})`,
    ),
    ...Object.entries(secrets).map(
      ([binding, value]) => `(name = ${quote(binding)}, text = ${quote(value)})`,
    ),
    ...Object.entries(bundle.vars).map(([binding, value]) =>
      typeof value === "string"
        ? `(name = ${quote(binding)}, text = ${quote(value)})`
        : `(name = ${quote(binding)}, json = ${quote(JSON.stringify(value))})`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "storage", disk = (path = ${quote(storage)}, writable = true)),
    # The key store listens on 127.0.0.1, which workerd refuses to call unless told.
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${quote(bundle.compatibilityDate)},
  compatibilityFlags = [${bundle.compatibilityFlags.map(quote).join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [${bindings.join(", ")}],
);
`;
}

/** The package has no types: its module exports the path of the binary as `default`. */
function findWorkerd(): string {
  const module: unknown = createRequire(import.meta.url)("workerd");
  if (typeof module === "object" && module !== null && "default" in module) {
    return String(module.default);
  }
  throw new Error("Cannot find the workerd binary");
}

/** A text literal of Cap'n Proto, which escapes as JSON does for printable text. */
function quote(text: string): string {
  return JSON.stringify(text);
}
