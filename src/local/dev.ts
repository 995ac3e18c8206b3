/**
 * `npm run dev`: the hub on a laptop. Starts the embedded Postgres, or what bridges the hub to that of
 * DATABASE_URL, then the Worker under wrangler dev, prints what to copy, and ends both with itself.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { Child, type ChildOptions } from "./child.ts";
import { cleanLine } from "./clean-line.ts";
import { DEV_HELP, parseDevOptions, type DevOptions } from "./dev-options.ts";
import { failWith, UserError } from "./fail.ts";
import { findAdminToken } from "./find-admin-token.ts";
import { findDatabaseUrl } from "./find-database-url.ts";
import { WRANGLER } from "./wrangler.ts";
import { bypassProxyForLoopback } from "./bypass-proxy.ts";
import { describeLowLimit, readOpenFilesLimit } from "./open-files.ts";
import { announceRunningHub } from "./running-hub.ts";
import { openState } from "./state-folder.ts";
import { SHARED_KEY, TEST_KEY, type SeededKey } from "./test-key.ts";
import { untilAnswering } from "./until-answering.ts";
import { wranglerDevArgs, wranglerDevEnvironment } from "./wrangler-dev.ts";

/** Kept from run to run where it can be, so that a copied endpoint goes on working; not an ephemeral port. */
const POSTGRES_PORT = 15_432;

/** Milliseconds that the Worker has to start, on a busy machine; tests name fewer. */
const START_LIMIT_MS = Number(process.env["WSPUBSUB_START_LIMIT_MS"] ?? 60_000);

/** The database that the hub is given. */
interface DevDatabase {
  readonly url: string;
  /** The same for the hub, which speaks Neon's HTTP only. */
  readonly hubUrl: string;
  /** What to show of it. */
  readonly label: string;
  /** A domain and a key that work, or what to put in their place. */
  readonly sockets: Pick<SeededKey, "domain" | "key">;
  /** The same of a domain that is shared. */
  readonly posts: Pick<SeededKey, "domain" | "key">;
}

const TO_FILL_IN = { domain: "YOUR-DOMAIN", key: "YOUR-KEY" };

const children: Child[] = [];
let stopping = false;

async function main(): Promise<void> {
  const options = parseDevOptions(process.argv.slice(2));
  if (options.help) {
    console.log(DEV_HELP);
    return;
  }
  bypassProxyForLoopback();
  const own = findDatabaseUrl(".dev.vars");
  const adminToken = findAdminToken(".dev.vars") ?? randomBytes(32).toString("base64url");
  if (!(await isFree(options.port))) {
    throw new UserError(`Port ${options.port} is in use: stop what listens there, or give --port`);
  }
  openState(options.state, options);
  const warning = describeLowLimit(readOpenFilesLimit());
  if (warning !== null) console.error(warning);
  process.on("SIGINT", () => void stopAll(0));
  process.on("SIGTERM", () => void stopAll(0));
  stopWithNpm();

  const database = own
    ? {
        url: own.url,
        hubUrl: own.speaks === "neon" ? own.url : await startBridge(own.url),
        label: new URL(own.url).host,
        sockets: TO_FILL_IN,
        posts: TO_FILL_IN,
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

async function startPostgres({ state, fresh }: DevOptions): Promise<DevDatabase> {
  // Not looked for before: another hub may take it while this one's database opens.
  const args = ["--port", String(POSTGRES_PORT), "--or-any", "--data", join(state, "postgres")];
  const url = await startServer("Postgres", {
    file: "postgres.ts",
    args: fresh ? [...args, "--fresh"] : args,
    env: process.env,
  });
  return { url, hubUrl: url, label: url, sockets: TEST_KEY, posts: SHARED_KEY };
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
  { port, state }: DevOptions,
  database: DevDatabase,
  adminToken: string,
): Promise<void> {
  const lines: string[] = [];
  let isReady = false;
  const child = start(WRANGLER, wranglerDevArgs(port, join(state, "hub")), {
    name: "wrangler dev",
    env: wranglerDevEnvironment(database.hubUrl, adminToken),
    execArgv: ["--import", join(import.meta.dirname, "exit-with-parent.ts")],
    onLine: (line) => {
      const shown = cleanLine(line);
      if (shown === null) return;
      if (isReady) console.error(shown);
      else lines.push(shown);
    },
  });
  const failed = child.exited.then(() => {
    throw new UserError(["Cannot start the Worker:", ...lines].join("\n"));
  });
  const limit = AbortSignal.timeout(START_LIMIT_MS);
  const isAnswering = await Promise.race([untilAnswering(port, limit), failed]);
  failed.catch(() => {});
  if (!isAnswering) {
    const seconds = START_LIMIT_MS / 1000;
    const words = `Cannot start the Worker: no answer on port ${port} within ${seconds} seconds`;
    throw new UserError([words, ...lines].join("\n"));
  }
  isReady = true;
}

/** Starts a child whose unexpected end is ours. */
function start(file: string, args: string[], options: ChildOptions): Child {
  const child = new Child(file, args, options);
  children.push(child);
  return child;
}

function printUrls({ port }: DevOptions, { label, sockets, posts }: DevDatabase): void {
  const host = `localhost:${port}`;
  const publisher = `ws://${host}/ws/pub/${sockets.key}/${sockets.domain}/hello`;
  const subscriber = `ws://${host}/ws/sub/${sockets.domain}/hello`;
  const messages = `http://${host}/v1/domains/${posts.domain}/topics/hello/messages`;
  console.log(`Publisher   ${publisher}
Subscriber  ${subscriber}

Try it, the publisher first:
  npx wscat -c ${publisher}
  npx wscat -c ${subscriber}
Or publish by plain HTTP, where many may:
  curl -H 'Authorization: Bearer ${posts.key}' -d hello ${messages}

Postgres  ${label}
Ready on http://${host} (Ctrl+C stops it)`);
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
