/** The embedded Postgres as tests start it: in memory, on a port of its own. */
import { startProgram } from "./process.ts";

/** A running Postgres. */
export interface LocalPostgres {
  readonly port: number;
  /** What DATABASE_URL must be to use it; psql takes it, too. */
  readonly url: string;
  /** Where it takes SQL over HTTP. */
  readonly endpoint: string;
  /** The first line, past or to come, that it prints and that matches. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  stop(): Promise<void>;
}

/** Starts one; resolves when it answers. */
export async function startPostgres(options: { port?: number } = {}): Promise<LocalPostgres> {
  const port = String(options.port ?? 0);
  const program = startProgram("node", ["src/local/postgres.ts", "--port", port]);
  const [, url = ""] = await program.line(/^Postgres\s+(\S+)$/);
  const { host, port: actualPort } = new URL(url);
  return {
    port: Number(actualPort),
    url,
    endpoint: `http://${host}/sql`,
    line: (pattern) => program.line(pattern),
    stop: async () => void (await program.end("SIGTERM")),
  };
}
