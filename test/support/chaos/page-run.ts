/** Traffic (traffic.ts) in a page of a browser; what the page itself reports as an error is a fault. */
import { EventEmitter, once } from "node:events";
import type { Page } from "playwright-core";
import { pageScript } from "./client-library.ts";
import { parseReports, resultOf, within, type ClientRun } from "./client-run.ts";
import type { ClientLibrary, runTraffic, Task } from "./traffic.ts";

/** What the script gives a page. */
interface PageGlobals {
  readonly client: ClientLibrary;
  readonly runTraffic: typeof runTraffic;
  readonly report: (line: string) => Promise<void>;
}

const PATIENCE_SECONDS = 150;

/** Starts a task in a fresh page beside another one. */
export async function startInPage(beside: Page, task: Task): Promise<ClientRun & { page: Page }> {
  const page = await beside.context().newPage();
  // Not a blank page: Chromium asks where a page comes from before it lets it connect to this machine.
  await page.goto(beside.url());
  const lines: string[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  const note = (line: string): void => {
    lines.push(line);
    news.emit("line");
  };
  await page.exposeFunction("report", note);
  page.on("pageerror", (error) => {
    note(JSON.stringify({ type: "fault", fault: `unhandled: ${error.message}` }));
  });
  await page.addScriptTag({ content: await pageScript() });
  const through = page.evaluate((of) => {
    const { client, runTraffic: run, report } = globalThis as unknown as PageGlobals;
    return run(client, of, (each) => void report(JSON.stringify(each)));
  }, task);
  // Whoever waits for it is told.
  through.catch(() => {});
  return {
    page,
    reports: () => parseReports(lines),
    reported: async (pattern) => {
      while (!lines.some((line) => pattern.test(line))) await once(news, "line");
    },
    ended: async ({ withinSeconds = PATIENCE_SECONDS } = {}) => {
      const isThrough = await within(
        withinSeconds,
        through.then(() => true),
      );
      if (isThrough === null) throw new Error(`Not through:\n${lines.slice(-40).join("\n")}`);
      // The last report may be on its way when the page is through.
      await page.evaluate(() => (globalThis as unknown as PageGlobals).report("through"));
      return resultOf(parseReports(lines));
    },
    kill: () => page.close(),
  };
}
