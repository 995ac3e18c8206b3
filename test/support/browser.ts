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
  /** On a page that has nothing. */
  readonly page: Page;
  /** Puts a page of this HTML beside it; returns its address. */
  serve(html: string): string;
  stop(): Promise<void>;
}

/** Starts one; rejects with what to do when there is none. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = requireProgram("chromium");
  // Pages of another origin: the hub serves everyone. From a real server, since Chromium asks where a page comes from
  // before it lets it connect to this machine.
  const pages = new Map<string, string>();
  const site = createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    const [path = ""] = request.url?.split("?") ?? [];
    response.end(pages.get(path) ?? "<!doctype html><title>client</title>");
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  const profile = await mkdtemp(join(tmpdir(), "wspubsub-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
  });
  const page = await context.newPage();
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  await page.goto(`${origin}/`);
  return {
    page,
    serve: (html) => {
      const path = `/${pages.size}`;
      pages.set(path, html);
      return origin + path;
    },
    stop: async () => {
      await context.close();
      site.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
