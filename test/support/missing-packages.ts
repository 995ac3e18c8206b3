/** Prints the Debian packages of the programs that tests need and this machine lacks, for .ci/run to install. */
import { findProgram, type ProgramName } from "./find-program.ts";

// Each package is called as we call its program.
const NAMES: readonly ProgramName[] = ["chromium", "postgresql", "python3-requests"];

process.stdout.write(NAMES.filter((name) => findProgram(name) === null).join(" "));
