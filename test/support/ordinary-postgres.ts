/**
 * An ordinary PostgreSQL, a cluster of a test file's own: for what the embedded one cannot show, such as TLS, passwords
 * and sessions that wait for each other. For tests that are described with `needs("postgresql")`.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll } from "vitest";
import { freePort } from "./free-port.ts";
import { requireProgram } from "./optional-program.ts";

/** A role that may do everything; its password needs percent-encoding. */
const ADMIN = { user: "admin", password: "p@ss/w:rd %" };

/** How to run one. */
export interface PostgresSettings {
  /** Of postgresql.conf: `name=value`. */
  readonly settings?: readonly string[];
  /** Lines before those of pg_hba.conf. */
  readonly hba?: readonly string[];
}

/** A running cluster, which speaks TLS for who asks. */
export interface OrdinaryPostgres {
  /** The file of the certificate that it has made for itself. */
  readonly certificate: string;
  /** A DATABASE_URL of it. */
  url(parts?: { user?: string; password?: string; database?: string; query?: string }): string;
  /** A connection that ends with the test file. */
  connect(database?: string): Promise<pg.Client>;
  /** Runs statements. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again after that, on its port and with its data. */
  start(): Promise<void>;
}

/** A cluster that has been made, as it is run. */
interface Cluster {
  readonly programs: string;
  readonly folder: string;
  readonly port: number;
  readonly settings: readonly string[];
}

/** Ends a server by SIGINT, its fast shutdown, or by SIGQUIT, its immediate one. */
type Stop = (signal: "SIGINT" | "SIGQUIT") => Promise<void>;

/** Starts one for the tests that are described around it. */
export function useOrdinaryPostgres({
  settings = [],
  hba = [],
}: PostgresSettings = {}): OrdinaryPostgres {
  let port = 0;
  let folder = "";
  let cluster: Cluster | undefined;
  let stop: Stop | undefined;
  const clients: pg.Client[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "wspubsub-postgres-"));
    port = await freePort();
    cluster = { programs: requireProgram("postgresql"), folder, port, settings };
    await makeCluster(cluster, hba);
    stop = await runCluster(cluster);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await stop?.("SIGINT");
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get certificate() {
      return join(folder, "tls.crt");
    },
    url({ user = ADMIN.user, password = ADMIN.password, database = "postgres", query = "" } = {}) {
      const who = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
      return `postgres://${who}@127.0.0.1:${port}/${encodeURIComponent(database)}${query && `?${query}`}`;
    },
    async connect(database = "postgres") {
      const client = new pg.Client({ host: "127.0.0.1", port, ...ADMIN, database });
      await client.connect();
      clients.push(client);
      return client;
    },
    async sql(text, database = "postgres") {
      const client = new pg.Client({ host: "127.0.0.1", port, ...ADMIN, database });
      await client.connect();
      try {
        const results: pg.QueryResult | pg.QueryResult[] = await client.query(text);
        return [results].flat().at(-1)?.rows ?? [];
      } finally {
        await client.end();
      }
    },
    async kill() {
      await stop?.("SIGQUIT");
      stop = undefined;
    },
    async start() {
      if (cluster !== undefined) stop = await runCluster(cluster);
    },
  };
}

/** It refuses to run as root. */
function whoRuns(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: idOf("-u"), gid: idOf("-g") } : {};
}

async function makeCluster({ programs, folder }: Cluster, hba: readonly string[]): Promise<void> {
  const who = whoRuns();
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, ADMIN.password);
  makeCertificate(folder);
  if (who.uid !== undefined && who.gid !== undefined) {
    for (const name of ["", ...readdirSync(folder)]) {
      await chown(join(folder, name), who.uid, who.gid);
    }
  }
  const auth = ["--auth=scram-sha-256", `--username=${ADMIN.user}`, `--pwfile=${passwordFile}`];
  const locale = ["--encoding=UTF8", "--locale=C.UTF-8"];
  execFileSync(join(programs, "initdb"), ["-D", data, "--no-sync", ...auth, ...locale], {
    ...who,
    cwd: folder,
    stdio: "ignore",
  });
  const hbaFile = join(data, "pg_hba.conf");
  await writeFile(hbaFile, `${hba.join("\n")}\n${await readFile(hbaFile, "utf8")}`);
}

async function runCluster({ programs, folder, port, settings }: Cluster): Promise<Stop> {
  const tls = ["ssl=on", `ssl_cert_file=${folder}/tls.crt`, `ssl_key_file=${folder}/tls.key`];
  const all = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    `unix_socket_directories=${folder}`,
    "fsync=off",
  ];
  const server = spawn(
    join(programs, "postgres"),
    ["-D", join(folder, "data")].concat(
      [...all, ...tls, ...settings].flatMap((setting) => ["-c", setting]),
    ),
    { ...whoRuns(), cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = once(server, "close");
  let log = "";
  await new Promise<void>((resolve, reject) => {
    server.stderr.on("data", (chunk) => {
      log += String(chunk);
      if (log.includes("ready to accept connections")) resolve();
    });
    void ended.then(() => reject(new Error(`PostgreSQL ended:\n${log}`)));
  });
  return async (signal) => {
    server.kill(signal);
    await ended;
  };
}

/** For its address alone. */
function makeCertificate(folder: string): void {
  const what = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const whose = ["-subj", "/CN=wspubsub test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", join(folder, "tls.key"), "-out", join(folder, "tls.crt")];
  execFileSync("openssl", [...what, ...whose, ...files], { stdio: "ignore" });
}

function idOf(which: "-u" | "-g"): number {
  return Number(execFileSync("id", [which, "postgres"], { encoding: "utf8" }));
}
