/** Counts the rows of all topics' logs, in the files where workerd keeps its objects. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export function countRows(storage: string): number {
  const files = globSync("**/*.sqlite", { cwd: storage });
  return files.reduce((sum, file) => sum + rowsOf(join(storage, file)), 0);
}

/** Milliseconds: the server is at work on its files. */
const PATIENCE_MS = 5000;

function rowsOf(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true, timeout: PATIENCE_MS });
  try {
    const isLog = database.prepare("select 1 from sqlite_schema where name = 'log'");
    if (isLog.get() === undefined) return 0;
    return Number(database.prepare("select count(*) as rows from log").get()?.["rows"]);
  } finally {
    database.close();
  }
}
