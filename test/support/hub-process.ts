/** The hub as tests start it: `npm run dev`'s program, with a port and a folder of its own. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { startProgram, type Program } from "./process.ts";
import { assertNoSecrets } from "./secrets.ts";

/** A running hub. */
export interface HubProcess {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** Of the process whose descendants are the hub. */
  readonly pid: number;
  /** The folder with what it stores; a hub started on it again knows its topics. */
  readonly state: string;
  /** Everything it and the Worker logged so far. */
  output(): string;
  /** Waits until a line that matches is logged: the log comes after the answer. */
  logged(pattern: RegExp): Promise<unknown>;
  /** Ends it as Ctrl+C does, and deletes its folder; throws when it logged a secret. */
  stop(): Promise<void>;
  /** Ends it without warning (SIGKILL); its folder stays. */
  kill(): Promise<void>;
}

/** Starts one; resolves when it is ready. */
export async function startHub(
  options: { port?: number; state?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<HubProcess> {
  const port = options.port ?? (await freePort());
  const state = options.state ?? (await mkdtemp(join(tmpdir(), "wspubsub-hub-")));
  const args = ["src/local/dev.ts", "--port", String(port), "--state", state];
  const program = startProgram("node", args, options.env);
  await program.line(/^Ready/);
  return hubOf(program, { port, state, endsOn: "SIGINT" });
}

/** A hub of a program that is ready; `endsOn` is the signal that stops it. */
export function hubOf(
  program: Program,
  { port, state, endsOn }: { port: number; state: string; endsOn: NodeJS.Signals },
): HubProcess {
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: program.pid,
    state,
    output: () => program.output(),
    logged: (pattern) => program.line(pattern),
    stop: async () => {
      await program.end(endsOn);
      await rm(state, { recursive: true, force: true });
      assertNoSecrets(program.output());
    },
    kill: async () => {
      await program.end("SIGKILL");
      await untilFree(port);
      assertNoSecrets(program.output());
    },
  };
}

/** Waits until what listened on a port is gone. */
export async function untilFree(port: number): Promise<void> {
  for (;;) {
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
      server.close();
      await once(server, "close");
      return;
    } catch {
      // EADDRINUSE: its last process is still ending. The failure came without a turn of the loop.
      await setImmediate();
    }
  }
}
