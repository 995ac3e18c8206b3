/**
 * The embedded Postgres with the schema's test key, shared by every Worker that asks for a
 * DATABASE_URL. Its processor time is not the server's: it is asked once per publisher.
 */
import { fileURLToPath } from "node:url";

import { findFreePort } from "../processes/free-port.ts";
import { ServerProcess } from "../processes/server-process.ts";

const program: string = fileURLToPath(new URL("../../../src/local/postgres.ts", import.meta.url));

export class KeyStore {
  /** The documented test row. */
  readonly domain = "test";
  readonly key = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
  #process: ServerProcess | undefined;
  #databaseUrl = "";

  /** Starts it on the first call; returns the DATABASE_URL. */
  async start(): Promise<string> {
    if (this.#process !== undefined) return this.#databaseUrl;
    const port = await findFreePort();
    const command = [process.execPath, program, "--port", String(port)];
    this.#process = new ServerProcess("the embedded Postgres", command);
    await this.#process.waitForOutput(`http://127.0.0.1:${port}/sql`);
    this.#databaseUrl = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
    return this.#databaseUrl;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}
