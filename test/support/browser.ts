/** A real browser as tests start it, on a page of another origin than the hub's. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { requireProgram } from "./optional-program.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A running browser. */
export interface Browser {
  readonly page: Page;
  stop(): Promise<void>;
}

/** Starts one; rejects with what to do when there is none. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = requireProgram("chromium");
  // Any page of another origin: the hub serves everyone.
  const site = createServer((_, response) => response.end("<!doctype html><title>client</title>"));
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  const profile = await mkdtemp(join(tmpdir(), "wspubsub-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
  });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
  return {
    page,
    stop: async () => {
      await context.close();
      site.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
