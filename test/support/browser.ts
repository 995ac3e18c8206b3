/** A real browser as tests start it, on a page of another origin than the hub's. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { requireProgram } from "./optional-program.ts";
import { startProgram } from "./process.ts";

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
  serve: (html: string) => string;
  stop(): Promise<void>;
}

/** Starts one; rejects with what to do when there is none. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = requireProgram("chromium");
  const { origin, serve, close } = await startSite();
  const profile = await mkdtemp(join(tmpdir(), "wspubsub-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
  });
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  return {
    page,
    serve,
    stop: async () => {
      await context.close();
      close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** One whose pages are hidden with their window, and can be frozen then: Playwright keeps those of its own visible. */
export async function startHidingBrowser(): Promise<Browser> {
  const { origin, serve, close } = await startSite();
  const profile = await mkdtemp(join(tmpdir(), "wspubsub-chromium-"));
  const flags = [...FLAGS, "--remote-debugging-port=0", `--user-data-dir=${profile}`];
  const program = startProgram(requireProgram("chromium"), flags);
  const [, endpoint = ""] = await program.line(/^DevTools listening on (\S+)/);
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  const page = (await browser.contexts()[0]?.newPage()) ?? (await browser.newPage());
  await page.goto(`${origin}/`);
  return {
    page,
    serve,
    stop: async () => {
      await browser.close();
      await program.end("SIGTERM");
      close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Pages of another origin than the hub's: it serves everyone. */
async function startSite(): Promise<{
  readonly origin: string;
  readonly serve: (html: string) => string;
  close: () => void;
}> {
  // A real server, since Chromium asks where a page comes from before it lets it connect to this machine.
  const pages = new Map<string, string>();
  const site = createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    const [path = ""] = request.url?.split("?") ?? [];
    response.end(pages.get(path) ?? "<!doctype html><title>client</title>");
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  return {
    origin,
    serve: (html) => {
      const path = `/${pages.size}`;
      pages.set(path, html);
      return origin + path;
    },
    close: () => void site.close(),
  };
}
