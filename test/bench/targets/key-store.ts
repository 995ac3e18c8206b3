/**
 * The embedded Postgres with the schema's test key, shared by every Worker that asks for a
 * DATABASE_URL. Its processor time is not the server's: it is asked once per publisher.
 */
import { fileURLToPath } from "node:url";

import type { RevocableKey } from "../load/load-command.ts";
import { freePort } from "../../support/free-port.ts";
import { ServerProcess } from "../processes/server-process.ts";
import { type QueryCounter, startQueryCounter } from "../../support/query-counter.ts";

const program: string = fileURLToPath(new URL("../../../src/local/postgres.ts", import.meta.url));

/** A domain and a key for it. */
export interface Domain {
  readonly domain: string;
  readonly key: string;
}

/** Where Workers find it. */
export interface RunningKeyStore {
  readonly databaseUrl: string;
  /** Answers a GET with the number of queries so far. */
  readonly queryCountUrl: string;
  /** A domain with a durable log of that `history_delay_ms`. */
  readonly addDelayed: (delayMs: number) => Promise<Domain>;
  /** Adds keys of the shared domain, which a measurement may revoke. */
  readonly addSharedKeys: (count: number) => Promise<RevocableKey[]>;
}

/** The documented test row: a domain with the defaults. */
export const TEST_DOMAIN: Domain = {
  domain: "test",
  key: "f47ac10b-58cc-4372-a567-0e02b2c3d479",
};

export const DURABLE_DOMAIN: Domain = {
  domain: "durable",
  key: "0b6d3c1e-7f5e-4c0b-9d2a-3f1f6f6b8a51",
};

/** Many publishers a topic. */
export const SHARED_DOMAIN: Domain = {
  domain: "many-publishers",
  key: "7c1f0a52-6a0e-4d2b-8f53-9d7f3c1b2e64",
};

/** Topics end with their publisher. */
export const ENDING_DOMAIN: Domain = {
  domain: "ending",
  key: "3d9a4b70-1f6e-4c58-8b0d-52e7c6a1f934",
};

/** Messages that the log of a topic of the durable domain keeps. */
export const HISTORY_MESSAGES = 10_000;

export class KeyStore {
  #process: ServerProcess | undefined;
  #counter: QueryCounter | undefined;
  #running: RunningKeyStore | undefined;

  /** Starts it on the first call. */
  async start(): Promise<RunningKeyStore> {
    if (this.#running !== undefined) return this.#running;
    const port = await freePort();
    const command = [process.execPath, program, "--port", String(port)];
    this.#process = new ServerProcess("the embedded Postgres", command);
    const sqlUrl = `http://127.0.0.1:${port}/sql`;
    await this.#process.waitForOutput(`127.0.0.1:${port}/`);
    await addKey(sqlUrl, DURABLE_DOMAIN);
    await runSql(sqlUrl, "insert into domains (domain, history_messages) values ($1, $2)", [
      DURABLE_DOMAIN.domain,
      String(HISTORY_MESSAGES),
    ]);
    await addKey(sqlUrl, SHARED_DOMAIN);
    await runSql(sqlUrl, "insert into domains (domain, publishers) values ($1, 'shared')", [
      SHARED_DOMAIN.domain,
    ]);
    await addKey(sqlUrl, ENDING_DOMAIN);
    await runSql(sqlUrl, "insert into domains (domain, grace_seconds) values ($1, 0)", [
      ENDING_DOMAIN.domain,
    ]);
    this.#counter = await startQueryCounter(sqlUrl);
    const host = `127.0.0.1:${this.#counter.port}`;
    this.#running = {
      databaseUrl: `postgres://postgres:postgres@${host}/postgres`,
      queryCountUrl: `http://${host}/`,
      addDelayed: async (delayMs) => {
        const domain = { domain: `delayed-${delayMs}`, key: crypto.randomUUID() };
        await addKey(sqlUrl, domain);
        // The logs of shared topics stay when all have left, so that their rows can be counted.
        await runSql(
          sqlUrl,
          `insert into domains (domain, publishers, history_messages, history_delay_ms)
            values ($1, 'shared', $2, $3) on conflict do nothing`,
          [domain.domain, String(HISTORY_MESSAGES), String(delayMs)],
        );
        return domain;
      },
      addSharedKeys: (count) =>
        Promise.all(
          Array.from({ length: count }, async () => {
            const key = crypto.randomUUID();
            return { id: await addKey(sqlUrl, { domain: SHARED_DOMAIN.domain, key }), key };
          }),
        ),
    };
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#counter?.stop();
    await this.#process?.stop();
  }
}

/** Adds a key; returns its number. */
async function addKey(url: string, { domain, key }: Domain): Promise<number> {
  const insert = "insert into apikeys (domain, apikey, active) values ($1, $2, true) returning id";
  return Number(await runSql(url, insert, [domain, key]));
}

/** Runs a statement; returns the first field of the first row, if it answers with rows. */
async function runSql(url: string, query: string, params: readonly string[]): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    // Its value names a database where there are several; here it only has to be there.
    headers: { "Content-Type": "application/json", "Neon-Connection-String": "postgres://bench" },
    body: JSON.stringify({ query, params }),
  });
  if (!response.ok) throw new Error(`The key store answered: ${await response.text()}`);
  const { rows } = (await response.json()) as { rows: unknown[][] };
  return rows[0]?.[0];
}
