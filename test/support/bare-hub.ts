/**
 * The hub without `npm run dev` and wrangler around it: its bundle in a workerd of its own. For tests that need a hub
 * of their own, to kill it or to give it a database, and nothing of the program around it: it costs a tenth of a start.
 */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workerdPath } from "../bench/targets/workerd.ts";
import { freePort } from "./free-port.ts";
import { hubOf, type HubProcess } from "./hub-process.ts";
import { startProgram } from "./process.ts";
import { currentVersion } from "./versions/version.ts";
import { workerdConfig } from "./versions/workerd-config.ts";

/** Starts one; resolves when it is ready. `env` is what the Worker finds in its environment. */
export async function startBareHub(options: {
  port?: number;
  state?: string;
  env: Readonly<Record<string, string>>;
}): Promise<HubProcess> {
  const port = options.port ?? (await freePort());
  const state = options.state ?? (await mkdtemp(join(tmpdir(), "wspubsub-hub-")));
  const program = startProgram(workerdPath, [
    "serve",
    "--control-fd=1",
    await configure(state, port, options.env),
  ]);
  await program.line(/^\{"event":"listen","socket":"edge",/);
  return hubOf(program, { port, state, endsOn: "SIGKILL" });
}

/** Writes the configuration and what it embeds; returns its path. */
async function configure(
  state: string,
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const storage = join(state, "objects");
  await mkdir(storage, { recursive: true });
  const version = await currentVersion();
  await writeFile(join(state, "worker.js"), version.source);
  const service = { modules: ["worker.js"], version };
  const config = workerdConfig({
    services: { edge: service, otherEdge: service, topic: service, domain: service },
    changing: [],
    storage,
    texts: { ADMIN_TOKEN: "", ...env },
    port,
  });
  const path = join(state, "config.capnp");
  await writeFile(path, config);
  return path;
}
