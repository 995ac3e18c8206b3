/**
 * `npm run dev` leaves no key, ticket or admin token on the disk, and wrangler does nothing beside the hub that costs as
 * much as the hub: it would record every request and socket event, with its URL.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { open, refused, type Client } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { startProgram } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const WRONG_KEY = "0d6c9a52-wrong-key-4c1b-9e0f-5d2f7a8b6c31";
const WRONG_TICKET = "wrong-ticket-Zq7cW1kXh0vR3nT5yB8mD2sF4gJ6pL9a";

/** Milliseconds; it was 7,512 with the trace store, and 45 without, on an idle machine. */
const MOST_CONNECT_MS = 500;

test("a flood leaves connects quick, and no file has a credential, while the hub runs and after", async () => {
  const state = await temporaryFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ["src/local/dev.ts", "--port", String(port), "--state", state];
  // Whoever has it in the environment has not thought of this hub.
  const program = startProgram("node", args, { X_LOCAL_OBSERVABILITY: "true" });
  onTestFinished(async () => void (await program.end("SIGTERM")));
  await program.line(/^Ready/);

  expect(await connectBesideFlood(url)).toBeLessThan(MOST_CONNECT_MS);
  for (const path of ["explorer", "explorer/", "explorer/api/d1/database"]) {
    expect((await fetch(`${url}/cdn-cgi/local/${path}`)).status).toBe(404);
  }

  const running = join(state, "running.json");
  const { adminToken } = JSON.parse(await readFile(running, "utf8")) as { adminToken: string };
  const secrets = await useCredentials(url, adminToken);
  expect(await filesWith(secrets, state)).toEqual([`running.json: ${adminToken}`]);
  expect((await stat(running)).mode & 0o777).toBe(0o600);
  await program.end("SIGINT");
  expect(await filesWith(secrets, state)).toEqual([]);
}, 120_000);

/** Milliseconds that a connect takes (median of 21) while 3,000 tiny messages a second go to another topic. */
async function connectBesideFlood(url: string): Promise<number> {
  const publisher = await open(`${url}/ws/pub/${KEY}/test/flood`);
  const subscriber = await open(`${url}/ws/sub/test/flood`);
  const end = new AbortController();
  const sent = send3000ASecond(publisher, end.signal);
  // It is well under way.
  await subscriber.texts(3000);
  const times: number[] = [];
  for (let n = 0; n < 21; n++) {
    const start = performance.now();
    const client = await open(`${url}/ws/pub/${KEY}/test/beside-${n}`);
    times.push(performance.now() - start);
    await client.close();
  }
  end.abort();
  await sent;
  for (const client of [subscriber, publisher]) await client.close();
  return times.toSorted((one, other) => one - other)[10] ?? NaN;
}

/** Presents good and wrong ones in all the ways there are, and closes what they open; returns them. */
async function useCredentials(url: string, adminToken: string): Promise<string[]> {
  const pub = await open(`${url}/ws/pub/${KEY}/test/news`);
  const byHeader = await open(`${url}/ws/pub/test/other`, [], bearer(KEY));
  const path = `${url}/v1/domains/test/topics`;
  const response = await fetch(`${path}/news/tickets`, { method: "POST", headers: bearer(KEY) });
  const { ticket } = (await response.json()) as { ticket: string };
  const sub = await open(`${url}/ws/sub/test/news?ticket=${ticket}`);
  pub.send("hello");
  await sub.texts(1);
  await refused(`${url}/ws/pub/${WRONG_KEY}/test/news`);
  await refused(`${url}/ws/pub/test/news`, [], bearer(WRONG_KEY));
  await refused(`${url}/ws/sub/test/news?ticket=${WRONG_TICKET}`);
  expect((await fetch(path, { headers: bearer(adminToken) })).status).toBe(200);
  for (const client of [sub, byHeader, pub]) await client.close();
  return [KEY, WRONG_KEY, ticket, WRONG_TICKET, adminToken];
}

function bearer(credential: string): Record<string, string> {
  return { Authorization: `Bearer ${credential}` };
}

/** Sends tiny messages until it is to end. */
async function send3000ASecond(publisher: Client, end: AbortSignal): Promise<void> {
  const start = performance.now();
  for (let sent = 0; !end.aborted; await sleep(10)) {
    for (const due = (performance.now() - start) * 3; sent < due; sent++) publisher.send("x");
  }
}

/** Which files below the state folder have which secret, in UTF-8 or UTF-16. */
async function filesWith(secrets: readonly string[], state: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(state, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    for (const secret of secrets) {
      if (!bytes.includes(secret) && !bytes.includes(Buffer.from(secret, "utf16le"))) continue;
      found.push(`${path.slice(state.length + 1)}: ${secret}`);
    }
  }
  return found;
}
