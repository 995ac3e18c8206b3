/** docs/operate.md, "Publish from SQL": what a transaction wrote is published once and in order, whoever dies meanwhile. */
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { freshDomain } from "../../support/addresses.ts";
import { documentBlock } from "../../support/document-block.ts";
import { startPostgres, type LocalPostgres } from "../../support/local-postgres.ts";
import { startProgram, type Program } from "../../support/process.ts";
import { StreamSubscriber } from "../../support/stream-client.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

const { url, sqlEndpoint } = inject("hub");
const POLICY = { publishers: "shared", history_messages: 1000, history_seconds: 3600 };

describe.runIf(sqlEndpoint !== null)("the relay of an outbox", () => {
  let postgres: LocalPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  test("publishes each row once, also where it is killed at any moment", async () => {
    const { domain, key } = await freshDomain(POLICY);
    const database = new pg.Client({ connectionString: postgres.url });
    await database.connect();
    onTestFinished(() => database.end());
    await database.query(await documentBlock("docs/operate.md", "outbox.sql"));
    const publication = await documentBlock("docs/operate.md", "publish.sql");

    const folder = await temporaryFolder();
    const relay = join(folder, "relay.mjs");
    await symlink(join(import.meta.dirname, "../../../node_modules"), join(folder, "node_modules"));
    await writeFile(relay, await documentBlock("docs/operate.md", "relay.mjs"));
    const DOMAIN_URL = `${url.replace(/^ws/, "http")}/v1/domains/${domain}`;
    const startRelay = (): Program => {
      const env = { DATABASE_URL: postgres.url, DOMAIN_URL, KEY: key };
      const program = startProgram("node", [relay], env);
      onTestFinished(async () => void (await program.end("SIGKILL")));
      return program;
    };

    const reader = await StreamSubscriber.open(`${url}/ws/sub/${domain}/orders?since=earliest`);
    const expected: string[] = [];
    for (let round = 0; round < 3; round++) {
      const program = startRelay();
      const messages = Array.from({ length: 10 }, (_, n) => JSON.stringify({ round, n }));
      for (const message of messages) {
        await database.query("insert into outbox (topic, message) values ('orders', $1)", [
          message,
        ]);
      }
      expected.push(...messages);
      // With posts on their way.
      expect(await reader.messages(5)).toEqual(expected.splice(0, 5));
      await program.end("SIGKILL");
    }
    const last = startRelay();
    await database.query(publication);
    expected.push('{"order":17,"state":"paid"}');
    expect(await reader.messages(expected.length)).toEqual(expected);
    await expect
      .poll(async () => (await database.query("select count(*)::int from outbox")).rows, {
        timeout: 30_000,
      })
      .toEqual([{ count: 0 }]);
    await last.end("SIGKILL");
  });
});
