/**
 * The configuration of a hub whose parts may differ in version: edge, topic and domain objects are services
 * of one workerd, each with its own module, and every binding of an object leads to the service that has it.
 */
import type { Version } from "./version.ts";

/** A part of the hub that has a version of its own. */
export type Part = "edge" | "topic" | "domain";

/** What runs on its own: the parts, and an edge of the other version, since two of them may reach one topic. */
export type ServiceName = Part | "otherEdge";

/** What a service runs. */
export interface Service {
  /** File names beside the configuration; the first one is the Worker. */
  readonly modules: readonly string[];
  readonly version: Version;
}

/** Where each class of objects lives. A new class belongs to the part that it changes its version with. */
const HOMES: Readonly<Record<string, Part>> = { Topic: "topic", Domain: "domain" };

/** Allows everything: Cloudflare's limiter is not part of workerd. */
const LIMITER = `import { WorkerEntrypoint } from "cloudflare:workers";
export class Limiter extends WorkerEntrypoint {
  limit() {
    return { success: true };
  }
}
export default {};
`;

/** Which part has a class of objects. */
export function homeOf(className: string): Part {
  const home = HOMES[className];
  if (home === undefined) throw new Error(`Say in HOMES which part has the objects "${className}"`);
  return home;
}

/** The configuration as Cap'n Proto text; each socket takes a free port. */
export function workerdConfig(options: {
  readonly services: Readonly<Record<ServiceName, Service>>;
  /** Parts that are reached directly, too, by a socket of their name. */
  readonly changing: readonly Part[];
  /** The folder of the objects' storage. */
  readonly storage: string;
  readonly texts: Readonly<Record<string, string>>;
  /** Where the edge listens; by default on any port that is free. */
  readonly port?: number;
}): string {
  const { services, changing, storage, texts, port = 0 } = options;
  const names: ServiceName[] = ["edge", "otherEdge", "topic", "domain"];
  const entries = names.map((name) => `(name = ${quote(name)}, worker = .${name})`);
  const sockets = ["edge" as const, "otherEdge" as const, ...changing].map(
    (name) =>
      `(name = ${quote(name)}, address = "127.0.0.1:${name === "edge" ? port : 0}", http = (), service = ${quote(name)})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ${entries.join(",\n    ")},
    (name = "limiter", worker = .limiter),
    (name = "storage", disk = (path = ${quote(storage)}, writable = true)),
    # The key store listens on 127.0.0.1, which workerd refuses to call unless told.
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [${sockets.join(", ")}],
);

const limiter :Workerd.Worker = (
  modules = [(name = "limiter.js", esModule = ${quote(LIMITER)})],
  compatibilityDate = ${quote(services.edge.version.compatibilityDate)},
);

${names.map((name) => workerOf(name, services[name], texts)).join("\n")}`;
}

function workerOf(
  service: ServiceName,
  { modules, version }: Service,
  texts: Readonly<Record<string, string>>,
): string {
  const embedded = modules.map(
    (name) => `(name = ${quote(name)}, esModule = embed ${quote(name)})`,
  );
  const namespaces = version.objects
    .filter(({ className }) => homeOf(className) === service)
    .map(
      ({ className }) =>
        `(className = ${quote(className)}, uniqueKey = ${quote(className)}, enableSql = true)`,
    );
  const bindings = [
    ...version.objects.map(
      ({ binding, className }) =>
        `(name = ${quote(binding)}, durableObjectNamespace = (className = ${quote(className)}, serviceName = ${quote(homeOf(className))}))`,
    ),
    ...["FAILED_CREDENTIALS", "FUTILE_LOOKUPS", "EMPTY_READS", "REFUSED_POSTS"].map(
      (name) => `(name = ${quote(name)}, service = (name = "limiter", entrypoint = "Limiter"))`,
    ),
    ...Object.entries(texts).map(
      ([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`,
    ),
  ];
  return `const ${service} :Workerd.Worker = (
  modules = [${embedded.join(", ")}],
  compatibilityDate = ${quote(version.compatibilityDate)},
  compatibilityFlags = [${version.compatibilityFlags.map(quote).join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [
    ${bindings.join(",\n    ")},
  ],
);
`;
}

/** A text literal of Cap'n Proto, which escapes as JSON does for printable text. */
function quote(text: string): string {
  return JSON.stringify(text);
}
