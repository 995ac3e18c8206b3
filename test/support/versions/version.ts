/**
 * The two versions of the Worker that must work together, each as one bundled module with its settings: the
 * previous one from test/fixtures, the current one from the sources.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { bundleWorker } from "../../bench/targets/worker-bundle.ts";
import { inRunFolder } from "../run-folder.ts";

/** Which of the two. */
export type VersionName = "previous" | "current";

/** Both names. */
export const VERSION_NAMES: readonly VersionName[] = ["previous", "current"];

/** A bundled version. */
export interface Version {
  /** The module. */
  readonly source: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly objects: readonly { readonly binding: string; readonly className: string }[];
}

/** Both. */
export type Versions = Readonly<Record<VersionName, Version>>;

/** The environment variable that names a folder like test/fixtures/previous, to try a version without sources. */
const CURRENT_VERSION = "WSPUBSUB_CURRENT_VERSION";

const root = join(import.meta.dirname, "../../..");

const SettingsSchema = v.object({
  compatibilityDate: v.string(),
  compatibilityFlags: v.array(v.string()),
  objects: v.array(v.object({ binding: v.string(), className: v.string() })),
});

/** Reads the previous version and bundles the current one, unless this run has done so before. */
export async function bundleVersions(): Promise<Versions> {
  const [previous, current] = await Promise.all([
    readVersion(join(root, "test/fixtures/previous")),
    currentVersion(),
  ]);
  return { previous, current };
}

/** The current version alone. */
export async function currentVersion(): Promise<Version> {
  const folder = process.env[CURRENT_VERSION] ?? inRunFolder("current");
  if (folder === null) return bundleSources();
  if (!existsSync(folder)) await keep(await bundleSources(), folder);
  return readVersion(folder);
}

async function bundleSources(): Promise<Version> {
  const { directory, ...settings } = await bundleWorker(join(root, "wrangler.toml"));
  const source = await readSource(directory);
  // With the folder around it, which is of this process: the test runner ends its processes unasked.
  await rm(dirname(directory), { recursive: true });
  return { source, ...settings };
}

/** Leaves a version for others, at once and as a whole. */
async function keep({ source, ...settings }: Version, folder: string): Promise<void> {
  const own = await mkdtemp(`${folder}-`);
  await writeFile(join(own, "worker.js"), source);
  await writeFile(join(own, "worker.json"), JSON.stringify(settings));
  try {
    await rename(own, folder);
  } catch {
    // ENOTEMPTY: another process was faster, with the same sources.
    await rm(own, { recursive: true });
  }
}

async function readVersion(directory: string): Promise<Version> {
  const settings: unknown = JSON.parse(await readFile(join(directory, "worker.json"), "utf8"));
  return { source: await readSource(directory), ...v.parse(SettingsSchema, settings) };
}

function readSource(directory: string): Promise<string> {
  return readFile(join(directory, "worker.js"), "utf8");
}
