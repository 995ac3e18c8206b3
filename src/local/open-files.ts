/** How many files a process may open here: each subscriber costs some, and a server that is out of them ends. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** The least that is worth no word: a thousand subscribers. */
const ENOUGH = 4300;

/** Of a subscriber of `npm run dev`, in wrangler's proxy, which has the most (measured on wrangler 4.164). */
const PER_SUBSCRIBER = 4;

/** What the proxy opens besides. */
const RESERVE = 100;

/** The limit of this process and those that it starts: Node has raised the soft one to the hard one. */
export function readOpenFilesLimit(): number {
  if (process.platform === "win32") return Infinity;
  const text =
    process.platform === "linux"
      ? /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
      : execFileSync("/bin/sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  // "unlimited"
  return /^\d+$/.test(text ?? "") ? Number(text) : Infinity;
}

/** A sentence where `npm run dev` could not serve many subscribers, else `null`. */
export function describeLowLimit(limit: number): string | null {
  if (limit >= ENOUGH) return null;
  const subscribers = Math.max(0, Math.floor((limit - RESERVE) / PER_SUBSCRIBER));
  return (
    `A process may open ${limit} files here, which is enough for about ${subscribers} subscribers. ` +
    "`ulimit -n 65536` before npm run dev raises it"
  );
}
