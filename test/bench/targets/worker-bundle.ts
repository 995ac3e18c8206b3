/**
 * A Worker as `wrangler deploy` would upload it: one module, plus what its wrangler.toml says about
 * dates, flags, objects and secrets.
 */
import { execFile } from "node:child_process";
import { readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { unstable_readConfig as readConfig } from "wrangler";

import { createScratchDirectory } from "../processes/scratch-directory.ts";
import { withDependencies } from "./checkout.ts";

export interface WorkerBundle {
  /** Holds the module `worker.js`. */
  readonly directory: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly objects: readonly { readonly binding: string; readonly className: string }[];
  readonly secrets: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
}

const wrangler: string = join(
  dirname(fileURLToPath(import.meta.resolve("wrangler/package.json"))),
  "bin/wrangler.js",
);

/** Bundles the Worker of one configuration, with the dates and flags of the same or another one. */
export async function bundleWorker(
  configPath: string,
  compatibilityConfigPath: string = configPath,
): Promise<WorkerBundle> {
  const config = readConfig({ config: configPath });
  const compatibility = readConfig({ config: compatibilityConfigPath });
  const directory = createScratchDirectory("worker");
  const source = await withDependencies(configPath);
  const args = ["deploy", "--dry-run", "--outdir", directory, "--config", source];
  await promisify(execFile)(process.execPath, [wrangler, ...args], {
    cwd: dirname(source),
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" },
  });
  const module = (await readdir(directory)).find((name) => name.endsWith(".js"));
  if (module === undefined) throw new Error(`Wrangler left no module in ${directory}`);
  await rename(join(directory, module), join(directory, "worker.js"));
  return {
    directory,
    compatibilityDate: compatibility.compatibility_date ?? "",
    compatibilityFlags: compatibility.compatibility_flags,
    objects: config.durable_objects.bindings.map(toObject),
    secrets: config.secrets?.required ?? [],
    vars: config.vars,
  };
}

/** Wrangler's own types for this lie in packages it does not install. */
function toObject(binding: { readonly name: string; readonly class_name: string }): {
  binding: string;
  className: string;
} {
  return { binding: binding.name, className: binding.class_name };
}
