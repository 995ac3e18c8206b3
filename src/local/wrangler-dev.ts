/**
 * How `npm run dev` runs wrangler: nothing of what passes the hub is printed, recorded or served by wrangler itself.
 */
import { existsSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { DEV_VARS } from "./find-setting.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Its arguments; the objects' storage goes to `persistTo`. */
export function wranglerDevArgs(port: number, persistTo: string): string[] {
  return (
    ["dev", "--config", join(ROOT, "wrangler.toml"), "--ip", "127.0.0.1", "--port", String(port)]
      .concat(["--inspector-port", "0", "--persist-to", persistTo])
      // Finding .dev.vars by itself, it would not look into the environment for what that lacks; without one it would
      // take a .env, which nothing else here reads.
      .concat(["--env-file", existsSync(DEV_VARS) ? DEV_VARS : devNull])
      // At "info" it prints every request's path, which may hold a key.
      .concat(["--log-level", "warn", "--show-interactive-dev-session=false"])
  );
}

/** Its environment: ours, and what must not be otherwise. */
export function wranglerDevEnvironment(databaseUrl: string, adminToken: string): NodeJS.ProcessEnv {
  const { CLOUDFLARE_ENV: _named, ...environment } = process.env;
  return {
    ...environment,
    // Beats the file's, since it is expanded already; and `$` would be expanded once more.
    DATABASE_URL: databaseUrl.replaceAll("$", "%24"),
    ADMIN_TOKEN: adminToken,
    // Set otherwise, it would read neither the file nor the two above.
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
    // Offline it would complain about `Request.cf` on every start.
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // It would store every request and socket event for good, keys and tickets in URLs among them, at the cost of a core.
    X_LOCAL_OBSERVABILITY: "false",
    // Pages on the hub's own port that show what is stored, to whoever can reach it.
    X_LOCAL_EXPLORER: "false",
    // Its log file would hold paths, too.
    WRANGLER_WRITE_LOGS: "false",
    WRANGLER_SEND_METRICS: "false",
  };
}
