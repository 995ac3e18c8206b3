/** A hub of the version before, all of it, for as long as a test runs. */
import { onTestFinished } from "vitest";
import { databaseUrl } from "../addresses.ts";
import { temporaryFolder } from "../temporary-files.ts";
import { startMixedHub } from "../versions/mixed-hub.ts";
import { bundleVersions } from "../versions/version.ts";

/** Starts one; returns its address. */
export async function startPreviousHub(): Promise<string> {
  const hub = await startMixedHub({
    versions: await bundleVersions(),
    mixture: { edge: "previous", topic: "previous", domain: "previous" },
    folder: await temporaryFolder(),
    databaseUrl: databaseUrl(),
  });
  onTestFinished(() => hub.stop());
  return hub.url;
}
