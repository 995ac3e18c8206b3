/**
 * Where the programs are that some tests need and that a machine may lack. Knows the usual places on Linux, macOS and
 * Windows, and the environment variable that wins over them; starts nothing but a Python, to ask for its packages.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** All of them. */
export const PROGRAM_NAMES = ["chromium", "postgresql", "python3-requests", "deno", "bun"] as const;

/** Such a program. */
export type ProgramName = (typeof PROGRAM_NAMES)[number];

interface Program {
  /** What people call it. */
  readonly title: string;
  /** The environment variable that says where it is. */
  readonly variable: string;
  /** What that variable must name. */
  readonly expected: string;
  /** How to get it. */
  readonly remedy: string;
  /** Whether it is at a path. */
  readonly isAt: (path: string) => boolean;
  /** The paths where it may be, best first. */
  readonly places: () => string[];
}

/** `PATH` names of browsers that speak Chromium's protocol. */
const BROWSERS = [
  "chromium",
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "microsoft-edge-stable",
  "microsoft-edge",
  // Last: where Ubuntu has no snap, it is a script that only says so.
  "chromium-browser",
];

const MAC_BROWSERS = ["Google Chrome", "Chromium", "Microsoft Edge"].map(
  (name) => `Applications/${name}.app/Contents/MacOS/${name}`,
);

const WINDOWS_BROWSERS = [
  "Google/Chrome/Application/chrome.exe",
  "Chromium/Application/chrome.exe",
  "Microsoft/Edge/Application/msedge.exe",
];

const POSTGRES_TOOLS = ["initdb", "pg_ctl", "postgres", "psql"];

const PROGRAMS: Readonly<Record<ProgramName, Program>> = {
  chromium: {
    title: "Chromium",
    variable: "CHROMIUM",
    expected: "the program file of a Chromium, Chrome or Edge",
    remedy: "install Chromium, Chrome or Edge, or set CHROMIUM to its program file",
    isAt: isProgramFile,
    places: () => [
      ...searchPath().flatMap((folder) => BROWSERS.map((name) => join(folder, name))),
      ...["/", homedir()].flatMap((root) => MAC_BROWSERS.map((file) => join(root, file))),
      ...windowsFolders().flatMap((root) => WINDOWS_BROWSERS.map((file) => join(root, file))),
    ],
  },
  postgresql: {
    title: "PostgreSQL",
    variable: "POSTGRES_BIN",
    expected: `the folder with ${POSTGRES_TOOLS.join(", ")}`,
    remedy: "install a PostgreSQL server, or set POSTGRES_BIN to the folder with its initdb",
    isAt: (folder) => POSTGRES_TOOLS.every((tool) => isProgramFile(join(folder, tool))),
    places: () => [
      ...searchPath(),
      // Debian and Ubuntu, Red Hat, Homebrew on both kinds of Mac, Postgres.app, the installers of macOS and Windows.
      ...versionsIn("/usr/lib/postgresql", ""),
      ...versionsIn("/usr", "pgsql-"),
      ...versionsIn("/opt/homebrew/opt", "postgresql@"),
      ...versionsIn("/usr/local/opt", "postgresql@"),
      ...versionsIn("/Applications/Postgres.app/Contents/Versions", ""),
      ...versionsIn("/Library/PostgreSQL", ""),
      ...windowsFolders().flatMap((root) => versionsIn(join(root, "PostgreSQL"), "")),
    ],
  },
  "python3-requests": {
    title: "Python with requests",
    variable: "PYTHON",
    expected: "the program file of a Python 3 that has the package requests",
    remedy: "install Python 3 and its package requests, or set PYTHON to its program file",
    // A machine may have several Pythons, and the package for one of them.
    isAt: (path) => isProgramFile(path) && spawnSync(path, ["-c", "import requests"]).status === 0,
    places: () => searchPath().map((folder) => join(folder, "python3")),
  },
  deno: npmProgram("Deno", "DENO", "deno"),
  bun: npmProgram("Bun", "BUN", "bun"),
};

/** One that `npm ci` brings, unless it was told to run no install scripts. */
function npmProgram(title: string, variable: string, name: string): Program {
  const installed = join(import.meta.dirname, "../../node_modules/.bin");
  return {
    title,
    variable,
    expected: `the program file of ${title}`,
    remedy: `run \`npm ci\` with install scripts, or set ${variable} to its program file`,
    isAt: isProgramFile,
    places: () => [installed, ...searchPath()].map((folder) => join(folder, name)),
  };
}

/**
 * Where a program is: its file, but of PostgreSQL the folder with its tools; `null` when there is none.
 * Throws when its environment variable names something else.
 */
export function findProgram(name: ProgramName): string | null {
  const { variable, expected, isAt, places } = PROGRAMS[name];
  const named = process.env[variable];
  if (named) {
    if (isAt(named)) return named;
    throw new Error(`${variable} is "${named}", and it must name ${expected}`);
  }
  return places().find(isAt) ?? null;
}

/** That a program was not found. */
export function saysMissing(name: ProgramName): string {
  return `No ${PROGRAMS[name].title} found`;
}

/** What helps then. */
export function remedyFor(name: ProgramName): string {
  return PROGRAMS[name].remedy;
}

function searchPath(): string[] {
  return (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
}

function windowsFolders(): string[] {
  return ["ProgramFiles", "ProgramFiles(x86)", "LocalAppData"].flatMap((variable) => {
    const folder = process.env[variable];
    return folder === undefined ? [] : [folder];
  });
}

/** The `bin` folders of the versions that are installed side by side, newest first. */
function versionsIn(folder: string, prefix: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // It is not there, or not ours to read: then nothing in it is of use.
    return [];
  }
  return names
    .filter((name) => name.startsWith(prefix))
    .map((name) => ({ name, version: Number.parseFloat(name.slice(prefix.length)) }))
    .filter(({ version }) => !Number.isNaN(version))
    .toSorted((one, other) => other.version - one.version)
    .map(({ name }) => join(folder, name, "bin"));
}

function isProgramFile(path: string): boolean {
  const file = process.platform === "win32" && !path.endsWith(".exe") ? `${path}.exe` : path;
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // It is not there, or must not be run.
    return false;
  }
}
