/** The database of the hub: that it is the right one, and that schema.sql is applied to it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { devNull } from "node:os";
import { join } from "node:path";
import { Database } from "../database/database.ts";
import { parseDatabaseUrl, type DatabaseUrl } from "../../core/database-url.ts";
import { askSecret, canAsk, isYes } from "../ask.ts";
import { checkHubDatabase } from "../check-hub-database.ts";
import { UserError } from "../fail.ts";
import { findSetting } from "../find-setting.ts";
import { findSchemaState } from "./schema-state.ts";
import type { SetupOptions } from "./setup-options.ts";
import type { Say } from "./say.ts";

/** The hub's database, ready for it. */
export interface HubDatabase {
  readonly place: DatabaseUrl;
  readonly database: Database;
  /** Whether it has the tables; not in a dry run of a new one. */
  readonly hasTables: boolean;
}

/** Checks it, and applies schema.sql where that must be; throws a UserError that says what is wrong. */
export async function prepareDatabase(options: SetupOptions, say: Say): Promise<HubDatabase> {
  const place = await findDatabase(say);
  const fault = await checkHubDatabase(place);
  if (fault !== null) throw new UserError(fault);
  const database = new Database(place);
  const state = await findSchemaState(database);
  if (state.type === "current") {
    say("it has schema.sql, as new as this hub");
    return { place, database, hasTables: true };
  }
  say(
    state.type === "empty"
      ? "it has not the tables of schema.sql yet"
      : `its tables are older than this hub: they lack ${state.missing.join(", ")}`,
  );
  if (options.dryRun) say("schema.sql would be applied");
  else await applySchema(options, place);
  return { place, database, hasTables: !options.dryRun };
}

async function findDatabase(say: Say): Promise<DatabaseUrl> {
  const set = findSetting("DATABASE_URL", "the environment");
  if (set === null && !canAsk()) {
    throw new UserError(
      "DATABASE_URL is missing: put the connection string of a database at Neon into the environment",
    );
  }
  const text =
    set?.value ??
    (await askSecret("Connection string of the database at Neon (not shown): ")).trim();
  const from = set?.place ?? "the terminal";
  const parsed = parseDatabaseUrl(text);
  if (!parsed.ok) throw new UserError(`${parsed.error} (from ${from})`);
  say(`${parsed.value.host}, from ${from}`);
  return parsed.value;
}

async function applySchema({ yes }: SetupOptions, { url }: DatabaseUrl): Promise<void> {
  if (!yes && !canAsk())
    throw new UserError("Apply schema.sql to it: --yes says that this is meant");
  if (!yes && !(await isYes("   Apply schema.sql? No row is lost."))) {
    throw new UserError("Without schema.sql the hub refuses all keys");
  }
  const apply = spawn(process.execPath, [join(import.meta.dirname, "../apply-schema.ts")], {
    // This database and no other, whatever .dev.vars has.
    env: { ...process.env, DATABASE_URL: url, WSPUBSUB_DEV_VARS: devNull },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await once(apply, "close");
  if (apply.exitCode !== 0) throw new UserError("schema.sql was not applied");
}
