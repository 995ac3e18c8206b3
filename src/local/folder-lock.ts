/**
 * One process a folder. The lock is the operating system's, on a file that stays empty: SQLite takes it, since Node
 * itself has none. It ends with its process, however that ends, so nobody ever meets one that was left behind, and of
 * any number that come at once one gets it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The file; that it is there says that a folder is ours. */
export const LOCK_FILE = "wspubsub.lock";

/** Milliseconds: `isLocked` holds the lock's other side for a moment. */
const PATIENCE_MS = 2000;

/** SQLITE_BUSY */
const BUSY = 5;

/** Those of this process: a lock is lost with the last reference to it. */
const held: DatabaseSync[] = [];

/** Takes a folder until this process ends; `false` where another has it. */
export function lockFolder(folder: string): boolean {
  const file = join(folder, LOCK_FILE);
  writeFileSync(file, "", { flag: "a", mode: 0o600 });
  const database = new DatabaseSync(file, { timeout: PATIENCE_MS });
  try {
    // In memory: nothing is ever written, so there is nothing to be rolled back after a crash.
    database.exec("pragma journal_mode = memory; begin exclusive");
    held.push(database);
    return true;
  } catch (cause) {
    database.close();
    if (isBusy(cause)) return false;
    throw cause;
  }
}

/** Whether another process has the folder. */
export function isLocked(folder: string): boolean {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(join(folder, LOCK_FILE), { readOnly: true });
    database.exec("select count(*) from sqlite_schema");
    return false;
  } catch (cause) {
    // SQLITE_BUSY: somebody has it. SQLITE_CANTOPEN, SQLITE_NOTADB: there is no lock, or it is not ours.
    return isBusy(cause);
  } finally {
    database?.close();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === BUSY;
}
