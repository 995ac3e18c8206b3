/** A page that prints to its console, which is all that a document's block shows of itself. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { Browser } from "./browser.ts";

/** Goes to a page of this HTML; what it prints is the list, which grows. */
export async function goToPage(browser: Browser, page: Page, html: string): Promise<string[]> {
  const printed: string[] = [];
  page.removeAllListeners("console");
  page.on("console", (message) => printed.push(message.text()));
  await page.goto(browser.serve(html));
  return printed;
}

/** The same, of a page that runs a program. */
export function runProgram(browser: Browser, page: Page, program: string): Promise<string[]> {
  return goToPage(browser, page, `<!doctype html><script type="module">${program}</script>`);
}

/** Waits until a page has printed a line. It says nothing of when it is connected, so what causes the line is repeated. */
export async function untilPrinted(
  printed: readonly string[],
  line: string,
  cause: () => void = () => {},
): Promise<void> {
  await expect
    .poll(
      () => {
        cause();
        return printed.join("\n");
      },
      { timeout: 30_000 },
    )
    .toContain(line);
}
