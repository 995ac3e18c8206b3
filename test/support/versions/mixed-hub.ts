/**
 * A hub whose edge, topic objects and domain objects run the version that a test says, each of its own: one
 * workerd, its objects on disk. Waits for what workerd says and for answers, never for time.
 */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { workerdPath } from "../../bench/targets/workerd.ts";
import type { AdminAnswer } from "../admin.ts";
import { ownAddress } from "../client.ts";
import { startProgram } from "../process.ts";
import { assertNoSecrets, noteSecret } from "../secrets.ts";
import { changingWorker, VERSION_CHANGED } from "./changing-worker.ts";
import type { VersionName, Versions } from "./version.ts";
import {
  homeOf,
  workerdConfig,
  type Part,
  type Service,
  type ServiceName,
} from "./workerd-config.ts";

/** Which version each part runs. */
export type Mixture = Readonly<Record<Part, VersionName>>;

/** Where clients reach a hub. */
export interface Edge {
  /** `ws://127.0.0.1:PORT` */
  readonly url: string;
  /** Asks a route under /v1/domains as the admin, or with another credential. */
  admin(method: string, path: string, credential?: string): Promise<AdminAnswer>;
}

/** A running hub. */
export interface MixedHub extends Edge {
  /** Another edge in front of the same objects, always of the other version. */
  readonly otherEdge: Edge;
  /** Asks for the live topics of a domain until they are these: the register hears of them in the background. */
  untilListed(domain: string, topics: readonly string[]): Promise<void>;
  /** Gives the objects of a part, which must be among the changing ones, another version while all else goes on. */
  change(part: Part, version: VersionName): Promise<void>;
  /** The lines that it logged so far of something that went wrong, and says where. */
  errors(): string[];
  /** Ends it without warning; what it stored stays. Throws when it logged a secret. */
  stop(): Promise<void>;
}

/** Of the hub's own events, and of the runtime's. */
const ERROR = /"level":"error"|\berror\b|exception/i;

/** Starts one in a folder; a hub started there again knows what was stored. */
export async function startMixedHub(options: {
  readonly versions: Versions;
  readonly mixture: Mixture;
  readonly folder: string;
  readonly databaseUrl: string;
  /** Parts whose version will change while it runs. */
  readonly changing?: readonly Part[];
}): Promise<MixedHub> {
  const adminToken = noteSecret("admin token", `admin-${crypto.randomUUID()}`);
  const config = await configure({ ...options, adminToken });
  const program = startProgram(workerdPath, ["serve", "--control-fd=1", config]);
  const portOf = async (service: ServiceName): Promise<string> => {
    const [, port = ""] = await program.line(
      new RegExp(`^\\{"event":"listen","socket":"${service}","port":(\\d+)\\}$`),
    );
    return port;
  };
  const edge = edgeAt(`127.0.0.1:${await portOf("edge")}`, adminToken);
  return {
    ...edge,
    otherEdge: edgeAt(`127.0.0.1:${await portOf("otherEdge")}`, adminToken),
    untilListed: async (domain, topics) => {
      const wanted = JSON.stringify(topics.toSorted());
      let listed = "";
      while (listed !== wanted) {
        const { status, body } = await edge.admin("GET", `${domain}/topics`);
        if (status !== 200) throw new Error(`Listing failed: ${JSON.stringify(body)}`);
        listed = JSON.stringify((body["topics"] as { topic: string }[]).map(({ topic }) => topic));
      }
    },
    change: async (part, version) => {
      const answer = await fetch(`http://127.0.0.1:${await portOf(part)}/${version}`, {
        method: "POST",
      });
      if (answer.status !== 204) throw new Error(`Cannot change the ${part}: ${answer.status}`);
    },
    errors: () =>
      program
        .output()
        .split("\n")
        .filter((line) => ERROR.test(line) && !line.includes(VERSION_CHANGED))
        .map((line) => `${nameOf(options.mixture)}: ${line}`),
    stop: async () => {
      await program.end("SIGKILL");
      assertNoSecrets(program.output());
    },
  };
}

function edgeAt(host: string, adminToken: string): Edge {
  return {
    url: `ws://${host}`,
    admin: async (method, path, credential = adminToken) => {
      const response = await fetch(`http://${host}/v1/domains/${path}`, {
        method,
        headers: { "CF-Connecting-IP": ownAddress(), Authorization: `Bearer ${credential}` },
      });
      const body = (await response.json()) as Record<string, unknown>;
      return { status: response.status, headers: response.headers, body };
    },
  };
}

function nameOf({ edge, topic, domain }: Mixture): string {
  return `edge ${edge}, topic ${topic}, domain ${domain}`;
}

/** Writes the configuration and what it embeds; returns its path. */
async function configure({
  versions,
  mixture,
  folder,
  databaseUrl,
  changing = [],
  adminToken,
}: Parameters<typeof startMixedHub>[0] & { readonly adminToken: string }): Promise<string> {
  const storage = join(folder, "objects");
  await mkdir(storage, { recursive: true });
  const directory = await mkdtemp(join(folder, "workerd-"));
  for (const name of ["previous", "current"] as const) {
    await writeFile(join(directory, `${name}.js`), versions[name].source);
  }
  const fixed = (name: VersionName): Service => ({
    modules: [`${name}.js`],
    version: versions[name],
  });
  const serviceOf = async (part: Part): Promise<Service> => {
    const name = mixture[part];
    if (!changing.includes(part)) return fixed(name);
    const object = versions.current.objects.find(({ className }) => homeOf(className) === part);
    if (object === undefined) throw new Error(`The ${part} has no objects`);
    await writeFile(join(directory, `${part}.js`), changingWorker(object, name));
    return { modules: [`${part}.js`, "previous.js", "current.js"], version: versions.current };
  };
  const config = workerdConfig({
    services: {
      edge: fixed(mixture.edge),
      otherEdge: fixed(mixture.edge === "previous" ? "current" : "previous"),
      topic: await serviceOf("topic"),
      domain: await serviceOf("domain"),
    },
    changing,
    storage,
    texts: { DATABASE_URL: databaseUrl, ADMIN_TOKEN: adminToken },
  });
  const path = join(directory, "config.capnp");
  await writeFile(path, config);
  return path;
}
