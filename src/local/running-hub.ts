/**
 * Where the hub of `npm run dev` is, for the command line: a file in its state folder that only its owner
 * may read, since it holds the admin token. Left behind by a killed process, which has the folder no more, it
 * counts for nothing.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { isLocked } from "./folder-lock.ts";

const RunningHubSchema = v.object({
  pid: v.number(),
  hubUrl: v.string(),
  databaseUrl: v.string(),
  adminToken: v.string(),
});

/** What a command needs to talk to it. */
export interface RunningHub {
  /** `http://HOST:PORT` */
  readonly hubUrl: string;
  readonly databaseUrl: string;
  readonly adminToken: string;
}

/** The hub that runs on a state folder, `null` if none does. */
export function findRunningHub(state: string): RunningHub | null {
  const file = readRunning(state);
  return file !== null && isLocked(state) ? file : null;
}

/** Forgets one that was killed; only for the process that has the state folder. */
export function forgetRunningHub(state: string): void {
  rmSync(fileIn(state), { force: true });
}

/** Tells where this process's hub is, until it ends; only for the process that has the state folder. */
export function announceRunningHub(state: string, hub: RunningHub): void {
  const file = fileIn(state);
  // Renamed into place: nobody ever reads half of it, or finds it open to others.
  const draft = `${file}.draft`;
  rmSync(draft, { force: true });
  writeFileSync(draft, JSON.stringify({ pid: process.pid, ...hub }), { mode: 0o600, flag: "wx" });
  renameSync(draft, file);
  process.on("exit", () => forgetRunningHub(state));
}

function readRunning(state: string): v.InferOutput<typeof RunningHubSchema> | null {
  try {
    const parsed = v.safeParse(RunningHubSchema, JSON.parse(readFileSync(fileIn(state), "utf8")));
    return parsed.success ? parsed.output : null;
  } catch (cause) {
    // SyntaxError: not what we wrote. ENOENT, ENOTDIR, EACCES: no hub that we may use.
    if (cause instanceof SyntaxError || (cause instanceof Error && "code" in cause)) return null;
    throw cause;
  }
}

function fileIn(state: string): string {
  return join(state, "running.json");
}
