/**
 * Tests that need a program which a machine may lack. Where it is missing they are skipped, and `report-skipped.ts`
 * says so once for the whole run; with CI=true their file fails, so that no gate leaves them out unseen.
 *
 *     describe("keys in an ordinary Postgres", needs("postgresql"), () => {
 *       beforeAll(() => startServer(requireProgram("postgresql")));
 *       …
 *     });
 */
import type { TestOptions } from "vitest";
import { findProgram, remedyFor, saysMissing, type ProgramName } from "./find-program.ts";

/** The options of a test, or of a group of tests, that needs a program. */
export function needs(program: ProgramName): TestOptions {
  const isMissing = findProgram(program) === null;
  if (isMissing && isGate()) throw missing(program);
  return { skip: isMissing, meta: { needs: program } };
}

/** Where it is: its file, but of PostgreSQL the folder with initdb, pg_ctl, postgres and psql; throws without. */
export function requireProgram(program: ProgramName): string {
  const path = findProgram(program);
  if (path === null) throw missing(program);
  return path;
}

function missing(program: ProgramName): Error {
  return new Error(`${saysMissing(program)}: ${remedyFor(program)}`);
}

/** As the services set it that run gates. */
function isGate(): boolean {
  return !["", "0", "false"].includes(process.env["CI"] ?? "");
}
