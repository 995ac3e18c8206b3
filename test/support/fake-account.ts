/**
 * An account at Cloudflare that is none, for what runs wrangler: what it has is said by the environment, and what it was
 * asked can be read. Imported before anything that looks for wrangler.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, vi } from "vitest";
import { temporaryFolder } from "./temporary-files.ts";

/** How wrangler fails where there is no such Worker. */
export const NO_HUB: { readonly DEPLOYED: string } = {
  DEPLOYED: JSON.stringify('Worker "wspubsub" not found.'),
};

/** A deployed hub with its secrets. */
export const A_HUB: { readonly DEPLOYED: string; readonly SECRETS: string } = {
  DEPLOYED: "[null]",
  SECRETS: JSON.stringify(["DATABASE_URL", "ADMIN_TOKEN"]),
};

/** What wrangler was run with. */
export interface Asked {
  readonly args: readonly string[];
  /** Of the file that it was given. */
  readonly secrets: Readonly<Record<string, string>> | null;
  readonly file: string | null;
  readonly mode: string | null;
  /** What its environment had of the hub's secrets. */
  readonly DATABASE_URL?: string;
  readonly ADMIN_TOKEN?: string;
}

/** What programs that are to use it need, beside what it has. */
export const FAKE_WRANGLER: string = join(import.meta.dirname, "fake-wrangler.mjs");

// Read once, when the modules are loaded that look for them.
process.env["WSPUBSUB_WRANGLER"] = FAKE_WRANGLER;
process.env["WSPUBSUB_DEV_VARS"] = "/dev/null";

let record = "";

/** Gives each test of the file a record of its own. */
export function useAccount(): void {
  beforeEach(async () => {
    record = join(await temporaryFolder(), "record");
    for (const name of ["DATABASE_URL", "ADMIN_TOKEN", "HUB_URL", "CLOUDFLARE_ACCOUNT_ID"]) {
      vi.stubEnv(name, undefined);
    }
    stub({ RECORD: record });
    return () => vi.unstubAllEnvs();
  });
}

/** Sets what the account has, and other variables, until the test ends. */
export function stub(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

/** All that wrangler was asked in this test, in order. */
export function asked(): readonly Asked[] {
  if (!existsSync(record)) return [];
  const lines = readFileSync(record, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Asked);
}

/** The deployment that it was asked for, if any. */
export function deployment(): Asked | undefined {
  return asked().find(({ args: [command] }) => command === "deploy");
}
