/** docs/recipes.md, "An answer under way", as it stands there: a backend of Node's, pages in a real browser, and what may break. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { databaseUrl, freshDomain } from "../support/addresses.ts";
import { startBareHub } from "../support/bare-hub.ts";
import { startBrowser, type Browser } from "../support/browser.ts";
import { documentBlock } from "../support/document-block.ts";
import { needs } from "../support/optional-program.ts";
import { packageFolder } from "../support/package-folder.ts";
import { startProgram, type Program } from "../support/process.ts";
import { noteSecret } from "../support/secrets.ts";

const hub = inject("hub");
const POLICY = { history_seconds: 3600, grace_seconds: 60 };
const SECONDS = { timeout: 30_000 };

/** Runs the recipe's backend with what comes by its stdin: a token a line, as JSON; an empty line is the end. */
const BACKEND = `
import { createInterface } from "node:readline";
import { publishAnswer } from "./publish-answer.mjs";

async function* tokens() {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "") return;
    yield JSON.parse(line);
  }
}
const { HUB: hub, DOMAIN: domain, TOPIC: topic, KEY: key } = process.env;
await publishAnswer({ hub, domain, topic, key }, tokens());
process.exit();
`;

interface Answer {
  /** `ws://…` */
  readonly hubUrl: string;
  readonly domain: string;
  readonly key: string;
  readonly topic: string;
}

async function freshAnswer(policy = POLICY, hubUrl = hub.url): Promise<Answer> {
  return { ...(await freshDomain(policy)), hubUrl, topic: crypto.randomUUID() };
}

function topicUrlOf({ hubUrl, domain, topic }: Answer): string {
  return `${httpOf(hubUrl)}/v1/domains/${domain}/topics/${topic}`;
}

function httpOf(hubUrl: string): string {
  return hubUrl.replace(/^ws/, "http");
}

/** Tokens as models make them, none like another. */
function tokensOf(count: number): string[] {
  return Array.from({ length: count }, (_, n) => (n % 10 === 9 ? `\n"${n}"\u{1F44B}` : ` ${n}`));
}

/** Says tokens to a backend. */
function say(backend: Program, tokens: readonly string[]): void {
  backend.write(tokens.map((token) => `${JSON.stringify(token)}\n`).join(""));
}

async function startBackend(answer: Answer): Promise<Program> {
  const folder = await packageFolder({
    "publish-answer.mjs": await documentBlock("docs/recipes.md", "publish-answer.mjs"),
    "backend.mjs": BACKEND,
  });
  const { hubUrl, domain, topic, key } = answer;
  const env = { HUB: httpOf(hubUrl), DOMAIN: domain, TOPIC: topic, KEY: key };
  const backend = startProgram("node", [join(folder, "backend.mjs")], env);
  onTestFinished(async () => void (await backend.end("SIGKILL")));
  return backend;
}

/** What is published, by pages. */
async function readLog(answer: Answer): Promise<{ texts: string[]; end: unknown }> {
  const texts: string[] = [];
  for (let since = "earliest"; ;) {
    const response = await fetch(`${topicUrlOf(answer)}/messages?since=${since}&limit=1000`);
    const page = (await response.json()) as {
      cursor: string;
      more: boolean;
      end: unknown;
      messages: string[];
    };
    texts.push(...page.messages);
    if (!page.more) return { texts, end: page.end };
    since = page.cursor;
  }
}

async function expectShown(page: Page, tokens: readonly string[], state: string): Promise<void> {
  await expect
    .poll(() => Promise.all([page.textContent("#answer"), page.textContent("#state")]), SECONDS)
    .toEqual([tokens.join(""), state]);
}

describe.runIf(hub.sqlEndpoint !== null)("an answer under way", needs("chromium"), () => {
  let browser: Browser;
  let html: string;
  beforeAll(async () => {
    browser = await startBrowser();
    html = await documentBlock("docs/recipes.md", "answer.html");
  });
  afterAll(() => browser.stop());

  /** Opens the recipe's page; the hub and the domain are all that differs. */
  async function openPage({ hubUrl, domain, topic }: Answer): Promise<Page> {
    const page = await browser.page.context().newPage();
    onTestFinished(() => page.close());
    const own = html
      .replace("wss://hub.example.com/ws/sub/answers", `${hubUrl}/ws/sub/${domain}`)
      .replace("https://hub.example.com", httpOf(hubUrl));
    const address = browser.serve(own);
    await page.goto(`${address}?answer=${topic}`);
    return page;
  }

  test("is shown to pages that come early, late, again and when it is over", async () => {
    const answer = await freshAnswer();
    const tokens = tokensOf(60);
    const early = await openPage(answer);
    await expectShown(early, [], "waiting");
    const backend = await startBackend(answer);
    say(backend, tokens.slice(0, 20));
    await expectShown(early, tokens.slice(0, 20), "under way");
    const late = await openPage(answer);
    await expectShown(late, tokens.slice(0, 20), "under way");
    for (const [known, said] of [
      [20, 40],
      [40, 59],
    ] as const) {
      await late.reload();
      await expectShown(late, tokens.slice(0, known), "under way");
      say(backend, tokens.slice(known, said));
      await expectShown(late, tokens.slice(0, said), "under way");
    }
    say(backend, tokens.slice(59));
    backend.write("\n");
    expect(await backend.exited).toBe(0);
    await expectShown(late, tokens, "finished");
    await expectShown(early, tokens, "finished");
    await late.reload();
    await expectShown(late, tokens, "finished");
    await expectShown(await openPage(answer), tokens, "finished");
  });

  test("goes on where the hub is killed in the middle, twice", async () => {
    const env = { DATABASE_URL: databaseUrl() };
    let own = await startBareHub({ env });
    onTestFinished(() => own.stop());
    const answer = await freshAnswer(POLICY, own.url.replace(/^http/, "ws"));
    const tokens = tokensOf(90);
    const backend = await startBackend(answer);
    say(backend, tokens.slice(0, 30));
    const page = await openPage(answer);
    await expectShown(page, tokens.slice(0, 30), "under way");
    for (const known of [30, 60]) {
      say(backend, tokens.slice(known, known + 15));
      await own.kill();
      say(backend, tokens.slice(known + 15, known + 30));
      own = await startBareHub({ env, port: own.port, state: own.state });
      await expectShown(page, tokens.slice(0, known + 30), "under way");
    }
    backend.write("\n");
    expect(await backend.exited).toBe(0);
    await expectShown(page, tokens, "finished");
    expect(await readLog(answer)).toEqual({ texts: tokens, end: "finished" });
  });

  test("goes on where the backend is killed in the middle, and is started with the same tokens", async () => {
    const answer = await freshAnswer();
    // More than a page has, and more than the hub remembers ids of.
    const tokens = tokensOf(2500);
    const page = await openPage(answer);
    let said = 0;
    for (const until of [1100, 2000]) {
      const backend = await startBackend(answer);
      say(backend, tokens.slice(0, said));
      // Killed with posts on their way.
      for (; said < until; said += 10) {
        say(backend, tokens.slice(said, said + 10));
        await readLog(answer).catch(() => null);
      }
      await backend.end("SIGKILL");
    }
    const last = await startBackend(answer);
    say(last, tokens);
    last.write("\n");
    expect({ code: await last.exited, output: last.output() }).toMatchObject({ code: 0 });
    await expectShown(page, tokens, "finished");
    const again = await startBackend(answer);
    say(again, tokens);
    again.write("\n");
    expect(await again.exited).toBe(0);
    expect(await readLog(answer)).toEqual({ texts: tokens, end: "finished" });
  });

  test("is abandoned where the backend does not come back", async () => {
    const answer = await freshAnswer({ ...POLICY, grace_seconds: 2 });
    const tokens = tokensOf(10);
    const backend = await startBackend(answer);
    say(backend, tokens);
    const page = await openPage(answer);
    await expectShown(page, tokens, "under way");
    await backend.end("SIGKILL");
    await expectShown(page, tokens, "abandoned");
    await expectShown(await openPage(answer), tokens, "abandoned");
  });

  test("has a domain that is made by two commands", async () => {
    const commands = await documentBlock("docs/recipes.md", "make-domain");
    const env = {
      DATABASE_URL: databaseUrl(),
      HUB_URL: hub.url.replace(/^ws/, "http"),
      ADMIN_TOKEN: hub.adminToken ?? "",
    };
    const made = startProgram("sh", ["-ec", commands], env);
    expect(await made.exited).toBe(0);
    const [key = ""] = /^[\w-]{43}$/m.exec(made.output()) ?? [];
    const topic = crypto.randomUUID();
    const answer = { hubUrl: hub.url, domain: "answers", key: noteSecret("key", key), topic };
    const backend = await startBackend(answer);
    say(backend, ["a"]);
    const page = await openPage(answer);
    await expectShown(page, ["a"], "under way");
    backend.write("\n");
    expect(await backend.exited).toBe(0);
    await expectShown(page, ["a"], "finished");
    await page.reload();
    await expectShown(page, ["a"], "finished");
  });
});
