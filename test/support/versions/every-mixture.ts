/** One hub for every combination of the versions of edge, topic and domain, for as long as a test file runs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { databaseUrl } from "../addresses.ts";
import { startMixedHub, type MixedHub, type Mixture } from "./mixed-hub.ts";
import { bundleVersions, VERSION_NAMES } from "./version.ts";

/** All eight. */
export const MIXTURES: readonly Mixture[] = VERSION_NAMES.flatMap((edge) =>
  VERSION_NAMES.flatMap((topic) => VERSION_NAMES.map((domain) => ({ edge, topic, domain }))),
);

/** Starts the hubs before the tests and ends them after; returns which hub is the one of a mixture. */
export function useEveryMixture(): (mixture: Mixture) => MixedHub {
  const hubs: Map<Mixture, MixedHub> = new Map();
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "wspubsub-mixed-"));
    const versions = await bundleVersions();
    const start = async (mixture: Mixture): Promise<void> => {
      const own = await mkdtemp(join(folder, "hub-"));
      const options = { versions, mixture, folder: own, databaseUrl: databaseUrl() };
      hubs.set(mixture, await startMixedHub(options));
    };
    await Promise.all(MIXTURES.map(start));
  });

  afterAll(async () => {
    const running = [...hubs.values()];
    await Promise.all(running.map((hub) => hub.stop()));
    await rm(folder, { recursive: true, force: true });
    // Where one part does not understand another, clients may not notice, or only later.
    expect(running.flatMap((hub) => hub.errors())).toEqual([]);
  });

  return (mixture) => {
    const hub = hubs.get(mixture);
    if (hub === undefined) throw new Error("The hub did not start");
    return hub;
  };
}
