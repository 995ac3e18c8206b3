/** Where a hub lives, on a real hub: workerd takes the region, and has no jurisdictions. */
import { expect, inject, onTestFinished, test } from "vitest";
import { TEST_KEY } from "../../src/local/test-key.ts";
import { databaseUrl, topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { startHub, type HubProcess } from "../support/hub-process.ts";
import { fileWith } from "../support/temporary-files.ts";

async function startAt(settings: string): Promise<HubProcess> {
  const WSPUBSUB_DEV_VARS = await fileWith(settings);
  const hub = await startHub({ env: { WSPUBSUB_DEV_VARS, DATABASE_URL: databaseUrl() } });
  onTestFinished(() => hub.stop());
  return hub;
}

const isLocal = inject("hub").sqlEndpoint !== null;

test.runIf(isLocal)(
  "a hub in a jurisdiction runs on a laptop as without one, and says so once",
  async () => {
    const hub = await startAt("HOME_REGION=weur\nJURISDICTION=eu\n");
    const { pub, sub } = topicUrls(hub.url.replace("http", "ws"), TEST_KEY);
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("through");
    expect(await subscriber.texts(1)).toEqual(["through"]);
    await hub.logged(/jurisdiction-ignored/);
    expect(hub.output().match(/jurisdiction-ignored/g)).toHaveLength(1);
  },
);

test.runIf(isLocal)(
  "4.3 a region outside the jurisdiction refuses everything, and says what is wrong",
  async () => {
    const hub = await startAt("HOME_REGION=enam\nJURISDICTION=eu\n");
    const { pub, sub } = topicUrls(hub.url.replace("http", "ws"), TEST_KEY);
    for (const target of [pub, sub]) {
      const { status, body } = await refused(target);
      expect(status).toBe(503);
      expect(body).toContain("HOME_REGION lies outside JURISDICTION");
    }
    await hub.logged(/configuration-invalid/);
  },
);
