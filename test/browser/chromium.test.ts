/** A real browser as publisher and as subscriber: what its WebSocket makes of the hub. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type BrowserContext, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshTopic } from "../support/addresses.ts";
import { open } from "../support/client.ts";

const EXECUTABLE = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
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

let profile: string;
let context: BrowserContext;
let site: Server;
let page: Page;

beforeAll(async () => {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`There is no browser at ${EXECUTABLE}: install chromium or set CHROMIUM`);
  }
  // Any page of another origin: the hub serves everyone.
  site = createServer((_, response) => response.end("<!doctype html><title>client</title>"));
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  profile = await mkdtemp(join(tmpdir(), "wspubsub-chromium-"));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    args: FLAGS,
  });
  page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
});

afterAll(async () => {
  await context.close();
  site.close();
  await rm(profile, { recursive: true, force: true });
});

test("a browser subscribes: text and binary, in order, then the hub's answer to its close", async () => {
  const { pub, sub } = freshTopic();
  const publisher = await open(pub);
  const received = page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const items: unknown[] = [];
    socket.addEventListener("open", () => socket.send("wspubsub:ping"));
    await new Promise<void>((resolve) => {
      socket.onmessage = ({ data }) => {
        items.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
        if (data === "wspubsub:pong") document.title = "open";
        if (data === "last") resolve();
      };
    });
    const closed = new Promise<CloseEvent>((resolve) => (socket.onclose = resolve));
    socket.close(3001, "enough");
    const { code, reason, wasClean } = await closed;
    return { items, code, reason, wasClean };
  }, sub);
  await page.waitForFunction(() => document.title === "open");
  publisher.send("first");
  publisher.send(Buffer.from([0, 128, 255]));
  publisher.send("last");
  expect(await received).toEqual({
    items: ["wspubsub:pong", "first", [0, 128, 255], "last"],
    code: 3001,
    reason: "enough",
    wasClean: true,
  });
});

test("a browser publishes", async () => {
  const { pub, sub } = freshTopic();
  await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    await new Promise((resolve) => (socket.onopen = resolve));
    Object.assign(window, { publisher: socket });
  }, pub);
  const subscriber = await open(sub);
  await page.evaluate(() => {
    const { publisher } = window as unknown as { publisher: WebSocket };
    publisher.send("from a browser");
    publisher.send(new Uint8Array([1, 2, 3]));
    publisher.send(new Blob(["blob"]));
  });
  expect(await subscriber.next()).toEqual({ type: "text", text: "from a browser" });
  expect(await subscriber.next()).toEqual({ type: "binary", bytes: Buffer.from([1, 2, 3]) });
  expect(await subscriber.next()).toEqual({ type: "binary", bytes: Buffer.from("blob") });
});

test("a refused handshake is an error and 1006 to a browser", async () => {
  const { sub } = freshTopic();
  const code = await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    return (await new Promise<CloseEvent>((resolve) => (socket.onclose = resolve))).code;
  }, sub);
  expect(code).toBe(1006);
});
