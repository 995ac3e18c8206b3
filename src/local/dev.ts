/**
 * `npm run dev`: the hub on a laptop. Starts the embedded Postgres, or what bridges the hub to that of
 * DATABASE_URL, then the Worker under wrangler dev, prints what to copy, and ends both with itself.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Child, type ChildOptions } from "./child.ts";
import { cleanLine } from "./clean-line.ts";
import { DEV_HELP, parseDevOptions, type DevOptions } from "./dev-options.ts";
import { failWith, UserError } from "./fail.ts";
import { findAdminToken } from "./find-admin-token.ts";
import { findDatabaseUrl } from "./find-database-url.ts";
import { DEV_VARS } from "./find-setting.ts";
import { announceRunningHub } from "./running-hub.ts";
import { TEST_KEY } from "./test-key.ts";

/** Kept from run to run where it can be, so that a copied endpoint goes on working; not an ephemeral port. */
const POSTGRES_PORT = 15_432;

const ROOT = join(import.meta.dirname, "../..");

/** The database that the hub is given. */
interface Database {
  readonly url: string;
  /** The same for the hub, which speaks Neon's HTTP only. */
  readonly hubUrl: string;
  /** What to show of it. */
  readonly label: string;
  /** A domain and a key that work, or what to put in their place. */
  readonly domain: string;
  readonly key: string;
}

const children: Child[] = [];
let stopping = false;

async function main(): Promise<void> {
  const options = parseDevOptions(process.argv.slice(2));
  if (options.help) {
    console.log(DEV_HELP);
    return;
  }
  const own = findDatabaseUrl();
  const adminToken = findAdminToken() ?? randomBytes(32).toString("base64url");
  if (!(await isFree(options.port))) {
    throw new UserError(`Port ${options.port} is in use: stop what listens there, or give --port`);
  }
  process.on("SIGINT", () => void stopAll(0));
  process.on("SIGTERM", () => void stopAll(0));
  stopWithNpm();
  mkdirSync(options.state, { recursive: true });

  const database = own
    ? {
        url: own.url,
        hubUrl: own.speaks === "neon" ? own.url : await startBridge(own.url),
        label: new URL(own.url).host,
        domain: "YOUR-DOMAIN",
        key: "YOUR-KEY",
      }
    : await startPostgres(options);
  await startWorker(options, database, adminToken);
  const hubUrl = `http://127.0.0.1:${options.port}`;
  announceRunningHub(options.state, { hubUrl, databaseUrl: database.url, adminToken });
  printUrls(options, database);

  const ended = await Promise.race(children.map((child) => child.exited.then(() => child.name)));
  if (stopping) return;
  console.error(`${ended} has ended by itself, so the hub ends, too`);
  await stopAll(1);
}

async function startPostgres({ state, fresh }: DevOptions): Promise<Database> {
  const port = (await isFree(POSTGRES_PORT)) ? POSTGRES_PORT : 0;
  const args = ["--port", String(port), "--data", join(state, "postgres")];
  const url = await startServer("Postgres", {
    file: "postgres.ts",
    args: fresh ? [...args, "--fresh"] : args,
    env: process.env,
  });
  return { url, hubUrl: url, label: url, domain: TEST_KEY.domain, key: TEST_KEY.key };
}

/** Between the hub and a Postgres that does not speak Neon's HTTP; the URL is a secret. */
async function startBridge(url: string): Promise<string> {
  const env = { ...process.env, DATABASE_URL: url };
  return startServer("The bridge to Postgres", { file: "sql-bridge.ts", args: [], env });
}

/** Starts what the hub gets its SQL from; resolves with the URL that it prints after its name. */
async function startServer(
  name: string,
  { file, args, env }: { file: string; args: string[]; env: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const output: string[] = [];
    let isReady = false;
    const child = start(join(import.meta.dirname, file), args, {
      name,
      env,
      onLine: (line) => {
        const url = /^(?:Postgres|Bridge) {2}(postgres:\S+)$/.exec(line)?.[1];
        if (url !== undefined) {
          isReady = true;
          resolve(url);
        } else if (isReady) console.error(line);
        else output.push(line);
      },
    });
    void child.exited.then(() => reject(new UserError(output.join("\n"))));
  });
}

async function startWorker(
  { port, state, fresh }: DevOptions,
  database: Database,
  adminToken: string,
): Promise<void> {
  const persistTo = join(state, "hub");
  if (fresh) rmSync(persistTo, { recursive: true, force: true });
  const lines: string[] = [];
  let isReady = false;
  const child = start(
    join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
    ["dev", "--config", join(ROOT, "wrangler.toml"), "--ip", "127.0.0.1", "--port", String(port)]
      .concat(["--inspector-port", "0", "--persist-to", persistTo])
      // Finding .dev.vars by itself, it would not look into the environment for what that lacks.
      .concat(existsSync(DEV_VARS) ? ["--env-file", DEV_VARS] : [])
      // At "info" it prints every request's path, which may hold a key.
      .concat(["--log-level", "warn", "--show-interactive-dev-session=false"]),
    {
      name: "wrangler dev",
      env: {
        ...process.env,
        // Beats the file's, since it is expanded already; and `$` would be expanded once more.
        DATABASE_URL: database.hubUrl.replaceAll("$", "%24"),
        ADMIN_TOKEN: adminToken,
        // Offline it would complain about `Request.cf` on every start.
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        // Its log file would hold paths, too.
        WRANGLER_WRITE_LOGS: "false",
        WRANGLER_SEND_METRICS: "false",
      },
      execArgv: ["--import", join(import.meta.dirname, "exit-with-parent.ts")],
      onLine: (line) => {
        const shown = cleanLine(line);
        if (shown === null) return;
        if (isReady) console.error(shown);
        else lines.push(shown);
      },
    },
  );
  const failed = child.exited.then(() => {
    throw new UserError(["Cannot start the Worker:", ...lines].join("\n"));
  });
  await Promise.race([untilAnswering(`http://127.0.0.1:${port}/`), failed]);
  failed.catch(() => {});
  isReady = true;
}

/** Starts a child whose unexpected end is ours. */
function start(file: string, args: string[], options: ChildOptions): Child {
  const child = new Child(file, args, options);
  children.push(child);
  return child;
}

function printUrls({ port }: DevOptions, { label, domain, key }: Database): void {
  const publisher = `ws://localhost:${port}/ws/pub/${key}/${domain}/hello`;
  const subscriber = `ws://localhost:${port}/ws/sub/${domain}/hello`;
  console.log(`Publisher   ${publisher}
Subscriber  ${subscriber}

Try it, the publisher first:
  npx wscat -c ${publisher}
  npx wscat -c ${subscriber}

Postgres  ${label}
Ready on http://localhost:${port} (Ctrl+C stops it)`);
}

/** npm ends on SIGTERM without passing it on, which would leave the hub running under nobody. */
function stopWithNpm(): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const npm = process.ppid;
  setInterval(() => {
    if (process.ppid !== npm) void stopAll(0);
  }, 250).unref();
}

async function stopAll(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await Promise.all(children.map((child) => child.stop()));
  process.exit(code);
}

/** Resolves once anything answers, with whatever status. */
async function untilAnswering(url: string): Promise<void> {
  for (;;) {
    try {
      await fetch(url, { signal: AbortSignal.timeout(1000) });
      return;
    } catch {
      // Not listening yet, or listening and not answering.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return true;
  } catch {
    // EADDRINUSE, or EACCES for a port that only root may have.
    return false;
  } finally {
    server.close();
  }
}

main().catch(async (error: unknown) => {
  // While stopping, everything that fails fails for that.
  if (stopping) return;
  await Promise.all(children.map((child) => child.stop()));
  failWith(error);
});
