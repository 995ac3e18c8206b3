/** What happens to tests whose program a machine lacks. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { findProgram } from "../support/find-program.ts";
import { startProgram } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const REMEDY = "install Chromium, Chrome or Edge, or set CHROMIUM to its program file";

afterEach(() => void vi.unstubAllEnvs());

/** Runs example.ts in a test runner of its own; the machine's browsers are out of its sight unless `env` shows one. */
async function runExample(
  env: Readonly<Record<string, string>>,
): Promise<{ code: unknown; output: string }> {
  const root = join(import.meta.dirname, "../..");
  const program = startProgram(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      join(root, "test/fixtures/optional-program/vitest.config.ts"),
    ],
    { PATH: await temporaryFolder(), HOME: await temporaryFolder(), NO_COLOR: "1", ...env },
  );
  return { code: await program.exited, output: program.output() };
}

/** A folder with programs of these names. */
async function folderWith(...names: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of names) {
    await writeFile(join(folder, name), "#!/bin/sh\n");
    await chmod(join(folder, name), 0o755);
  }
  return folder;
}

// Elsewhere browsers stand in fixed places, which a test cannot hide.
describe.runIf(process.platform === "linux")("tests that need a browser", () => {
  test("are skipped with one line for the whole run where there is none", async () => {
    const { code, output } = await runExample({});
    expect(output.match(/^No Chromium found.*$/gm)).toEqual([
      `No Chromium found: 2 browser tests are skipped; ${REMEDY}`,
    ]);
    expect(output).toMatch(/Tests +1 passed \| 2 skipped/);
    expect(code).toBe(0);
  });

  test("fail where there is none, with CI=true", async () => {
    const { code, output } = await runExample({ CI: "true" });
    expect(output).toContain(`Error: No Chromium found: ${REMEDY}`);
    expect(code).toBe(1);
  });

  test("run where there is one", async () => {
    const { code, output } = await runExample({ PATH: await folderWith("microsoft-edge") });
    expect(output).not.toContain("No Chromium");
    expect(output).toMatch(/Tests +3 passed/);
    expect(code).toBe(0);
  });

  test("fail where CHROMIUM names nothing", async () => {
    const { code, output } = await runExample({ CHROMIUM: "/nowhere/chromium" });
    expect(output).toContain(
      'CHROMIUM is "/nowhere/chromium", and it must name the program file of a Chromium, Chrome or Edge',
    );
    expect(code).toBe(1);
  });
});

describe("a program", () => {
  test.each(["chromium", "google-chrome", "microsoft-edge-stable", "chromium-browser"])(
    "that is a browser is found as %s",
    async (name) => {
      const folder = await folderWith(name);
      vi.stubEnv("PATH", folder);
      expect(findProgram("chromium")).toBe(join(folder, name));
    },
  );

  test.runIf(process.platform === "linux")(
    "that nobody may run, or that is a folder, is none",
    async () => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, "chromium"), "");
      await mkdir(join(folder, "google-chrome"));
      vi.stubEnv("PATH", folder);
      vi.stubEnv("HOME", folder);
      expect(findProgram("chromium")).toBeNull();
      vi.stubEnv("CHROMIUM", join(folder, "chromium"));
      expect(() => findProgram("chromium")).toThrow("CHROMIUM is");
    },
  );

  test("that its variable names wins over those in the usual places", async () => {
    const [named, usual] = [await folderWith("my-browser"), await folderWith("chromium")];
    vi.stubEnv("PATH", usual);
    vi.stubEnv("CHROMIUM", join(named, "my-browser"));
    expect(findProgram("chromium")).toBe(join(named, "my-browser"));
    vi.stubEnv("CHROMIUM", "");
    expect(findProgram("chromium")).toBe(join(usual, "chromium"));
  });

  test("that is a Postgres is a folder with all that a server needs", async () => {
    const tools = ["initdb", "pg_ctl", "postgres", "psql"];
    const [client, server] = [await folderWith("psql"), await folderWith(...tools)];
    vi.stubEnv("PATH", `${client}:${server}`);
    expect(findProgram("postgresql")).toBe(server);
    vi.stubEnv("POSTGRES_BIN", client);
    expect(() => findProgram("postgresql")).toThrow(
      `POSTGRES_BIN is "${client}", and it must name the folder with initdb, pg_ctl, postgres, psql`,
    );
  });
});
