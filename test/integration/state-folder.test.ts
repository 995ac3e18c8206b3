/**
 * The folder in which `npm run dev` keeps its state: one hub at a time, whatever became of the one before; nothing of
 * anybody else's is used or deleted; nobody else may look into it.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { devAlone, startDevAlone, type DevAloneOptions } from "../support/dev-process.ts";
import { startProgram } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

describe("one hub at a time", () => {
  test.each([[[]], [["--fresh"]]])(
    "a second one with %j is refused and touches nothing",
    async (args) => {
      const state = await temporaryFolder();
      const { port } = await devAlone({ state });
      const before = await readdir(state, { recursive: true });
      await expectRefused(
        { state, args },
        `another process uses it, with the hub at http://127.0.0.1:${port}. Is \`npm run dev\``,
      );
      expect(await readdir(state, { recursive: true })).toEqual(before);
      expect(before).toContain(`hub/v3/do/wspubsub-Topic/of-${port}`);
    },
  );

  test("of ten at once one starts", async () => {
    const state = await temporaryFolder();
    const started = await Promise.all(Array.from({ length: 10 }, () => startDevAlone({ state })));
    const outcomes = await Promise.all(
      started.map(({ program }) =>
        Promise.race([
          program.line(/^Ready/).then(
            () => "ready",
            () => "ended",
          ),
          program.exited,
        ]),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "ready")).toHaveLength(1);
  });

  test("one that was killed, and that nobody has asked how it ended, is in nobody's way", async () => {
    const state = await temporaryFolder();
    // `sleep` takes the shell's place and never asks.
    const before = ["sh", "-c", '"$@" & echo $!; exec sleep 1000', "sh"];
    const { program } = await devAlone({ state, before });
    const [pid = ""] = await program.line(/^\d+$/);
    process.kill(Number(pid), "SIGKILL");
    await untilDefunct(pid);
    expect(await readFile(join(state, "running.json"), "utf8")).toContain(`"pid":${pid}`);
    await expectNoHub(state);
    await devAlone({ state });
  });

  test("one whose number is another process's by now is in nobody's way", async () => {
    const state = await temporaryFolder();
    const hub = { hubUrl: "http://127.0.0.1:1", databaseUrl: "", adminToken: "t".repeat(32) };
    await writeFile(join(state, "running.json"), JSON.stringify({ pid: process.pid, ...hub }));
    await mkdir(join(state, "postgres"));
    await writeFile(join(state, "postgres/lock"), String(process.pid));
    await expectNoHub(state);
    const { program } = await startDevAlone({ state, env: { WSPUBSUB_FAKE: "silent" } });
    // It begins by forgetting the other.
    while ((await readdir(state)).includes("running.json")) expect(program.output()).toBe("");
    await expectNoHub(state);
  });
});

describe("what is not ours", () => {
  test("stays as it is, beside ours and within", async () => {
    const state = await temporaryFolder();
    await chmod(state, 0o755);
    await writeFile(join(state, "mine.txt"), "");
    const first = await devAlone({ state });
    await first.program.end("SIGTERM");
    await writeFile(join(state, "hub/mine.txt"), "");
    const { port } = await devAlone({ state, args: ["--fresh"] });
    expect(await readdir(state)).toContain("mine.txt");
    expect((await readdir(join(state, "hub"))).toSorted()).toEqual(["mine.txt", "v3"]);
    expect(await readdir(join(state, "hub/v3/do/wspubsub-Topic"))).toEqual([`of-${port}`]);
    expect(await modeOf(state)).toBe(0o755);
    expect(await modeOf(join(state, "hub"))).toBe(0o700);
  });

  test.each([
    ["hub", "hub/mine.txt"],
    ["hub", "hub"],
    ["postgres", "postgres/mine.txt"],
    ["postgres", "postgres/data/postmaster.opts"],
  ])("is not taken for ours: a %s with %s", async (name, file) => {
    const state = await temporaryFolder();
    await mkdir(join(state, file, ".."), { recursive: true });
    await writeFile(join(state, file), "");
    const why = file === name ? "is a file" : `it has a "${name}" of somebody else's`;
    await expectRefused({ state, args: ["--fresh"] }, why);
    expect((await stat(join(state, file))).isFile()).toBe(true);
  });

  test("is not emptied by the embedded Postgres alone either", async () => {
    const data = await temporaryFolder();
    await mkdir(join(data, "data"));
    await writeFile(join(data, "data/postmaster.opts"), "");
    const postgres = startProgram("node", ["src/local/postgres.ts", "--data", data, "--fresh"]);
    expect(await postgres.exited).toBe(1);
    expect(postgres.output()).toContain(`it has a "data" of somebody else's`);
    expect(await readdir(join(data, "data"))).toEqual(["postmaster.opts"]);
  });
});

describe("the folder", () => {
  test("is private, also one that was not", async () => {
    const state = join(await temporaryFolder(), "not/there/yet");
    const first = await devAlone({ state });
    await first.program.end("SIGTERM");
    await mkdir(join(state, "postgres"));
    const folders = [state, join(state, "hub"), join(state, "postgres")];
    expect(await Promise.all(folders.slice(0, 2).map(modeOf))).toEqual([0o700, 0o700]);
    for (const folder of folders) await chmod(folder, 0o755);
    const { port } = await devAlone({ state });
    expect(await Promise.all(folders.map(modeOf))).toEqual([0o700, 0o700, 0o700]);
    // What wrangler writes, too.
    expect(await modeOf(join(state, `hub/v3/do/wspubsub-Topic/of-${port}`))).toBe(0o600);
    expect(await modeOf(join(state, "running.json"))).toBe(0o600);
  });

  test("loses what earlier versions had recorded of requests", async () => {
    const state = await temporaryFolder();
    await mkdir(join(state, "hub/v3/observability/store"), { recursive: true });
    await mkdir(join(state, "hub/v3/do/wspubsub-Domain"), { recursive: true });
    await devAlone({ state });
    expect(await readdir(join(state, "hub/v3"))).toEqual(["do"]);
    expect(await readdir(join(state, "hub/v3/do"))).toContain("wspubsub-Domain");
  });

  test.each([
    ["", "--state needs a folder"],
    ["FILE", "is a file. Give a folder"],
    ["FILE/below", "is a file. Give a folder"],
    ["/proc/wspubsub", "it may not be written (ENOENT)"],
  ])("cannot be %j", async (path, message) => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    await expectRefused({ state: path.replace("FILE", file) }, message);
  });

  test("may not be locked by what is no lock", async () => {
    const state = await temporaryFolder();
    await writeFile(join(state, "wspubsub.lock"), "something else");
    await expectRefused({ state }, "it cannot be locked. Delete wspubsub.lock in it");
  });
});

/** Exit code 1, and a sentence for people: no stack. */
async function expectRefused(options: DevAloneOptions, message: string): Promise<void> {
  const { program } = await startDevAlone(options);
  expect(await program.exited).toBe(1);
  expect(program.output()).toContain(message);
  expect(program.output()).not.toMatch(/^ +at /m);
}

/** The command line finds no hub that runs on the folder. */
async function expectNoHub(state: string): Promise<void> {
  const { stderr } = await runCli(["--state", state, "topics", "list", "x"]);
  expect(stderr).toContain("HUB_URL and ADMIN_TOKEN are not set");
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

async function untilDefunct(pid: string): Promise<void> {
  while (!/\) Z /.test(await readFile(`/proc/${pid}/stat`, "utf8")));
}
