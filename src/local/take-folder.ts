/**
 * Takes a folder in which a program of this checkout keeps things: makes it, locks it, makes it private. Invariant:
 * what stands under our names and was not made by us is neither used nor deleted, and only what is ours alone gets
 * other permissions.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UserError } from "./fail.ts";
import { LOCK_FILE, lockFolder } from "./folder-lock.ts";

/** What is kept there, by name, and whether what stands at its path may be ours: asked where no lock says so. */
export type Contents = Readonly<Record<string, (path: string) => boolean>>;

/** Takes it until this process ends; throws a UserError. `inUse` is what to say where another process has it. */
export function takeFolder(
  folder: string,
  contents: Contents,
  inUse: (path: string) => string,
): void {
  const path = resolve(folder);
  // For what this process and its children write from now on: wrangler and PGlite would let anybody read it.
  process.umask(0o077);
  try {
    makeFolder(path);
    assertOurs(path, contents);
    if (!lockFolder(path)) throw new UserError(inUse(path));
    makePrivate(path, contents);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`Cannot keep anything in ${path}: ${explain(cause)}`, { cause });
  }
}

/** The names in a folder, none where there is no folder. */
export function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** With its parents. Node's own, `recursive`, never returns where the system makes none, as under /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (cause) {
    // EEXIST: another process was faster. What is no folder fails later.
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
  }
}

function assertOurs(path: string, contents: Contents): void {
  if (existsSync(join(path, LOCK_FILE))) return;
  for (const [name, isOurs] of Object.entries(contents)) {
    const inside = join(path, name);
    if (!existsSync(inside) || isOurs(inside)) continue;
    throw new UserError(
      `Cannot keep anything in ${path}: it has a "${name}" of somebody else's. Give another folder`,
    );
  }
}

function makePrivate(path: string, contents: Contents): void {
  const names = readdirSync(path);
  const ours = names.filter((name) => name in contents);
  for (const name of ours) restrict(join(path, name));
  // Another's home, or /tmp, stays as it is.
  if (ours.length === names.filter((name) => name !== LOCK_FILE).length) restrict(path);
}

function restrict(path: string): void {
  chmodSync(path, path.endsWith(".json") ? 0o600 : 0o700);
}

function explain(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return "it, or a part of its path, is a file. Give a folder";
    case "ENOENT":
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `it may not be written (${code}). Give another folder`;
    case "ERR_SQLITE_ERROR":
      return `it cannot be locked. Delete ${LOCK_FILE} in it, or give another folder`;
    default:
      return String(cause);
  }
}
