/**
 * Starts the one hub that most integration tests share, or takes the one that HUB_URL names. Runs once,
 * before the first test file.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startHub } from "./hub-process.ts";
import { startPostgres } from "./local-postgres.ts";
import { noteSecret, SECRETS_FILE } from "./secrets.ts";

/** The hub under test, as `inject("hub")` gives it to tests. */
export interface HubUnderTest {
  /** `ws://…`, without a slash at the end. */
  readonly url: string;
  readonly key: string;
  readonly domain: string;
  /** Opens the routes under /v1, `null` when it is not known. */
  readonly adminToken: string | null;
  /** Where its Postgres takes SQL, `null` when it runs somewhere else. */
  readonly sqlEndpoint: string | null;
}

const ADMIN_TOKEN = "an-admin-token-for-tests-and-nothing-else";
const TEST_KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

/** Vitest's global setup; what it returns is the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { HUB_URL, HUB_KEY, HUB_DOMAIN, HUB_ADMIN_TOKEN } = process.env;
  if (HUB_URL) {
    const url = HUB_URL.replace(/^http/, "ws").replace(/\/$/, "");
    const [key, domain] = [HUB_KEY ?? TEST_KEY, HUB_DOMAIN ?? "test"];
    const adminToken = HUB_ADMIN_TOKEN ?? null;
    project.provide("hub", { url, key, domain, adminToken, sqlEndpoint: null });
    return async () => {};
  }
  const folder = await mkdtemp(join(tmpdir(), "wspubsub-secrets-"));
  // The processes of the tests inherit it.
  process.env[SECRETS_FILE] = join(folder, "secrets.jsonl");
  noteSecret("key", TEST_KEY);
  noteSecret("admin token", ADMIN_TOKEN);
  const postgres = await startPostgres();
  const hub = await startHub({ env: { DATABASE_URL: postgres.url, ADMIN_TOKEN } });
  project.provide("hub", {
    url: hub.url.replace(/^http/, "ws"),
    key: TEST_KEY,
    domain: "test",
    adminToken: ADMIN_TOKEN,
    sqlEndpoint: postgres.endpoint,
  });
  return async () => {
    try {
      await hub.stop();
    } catch (error) {
      // Vitest reports what a teardown throws and ends with 0 all the same.
      process.exitCode = 1;
      throw error;
    } finally {
      await postgres.stop();
      await rm(folder, { recursive: true });
    }
  };
}
