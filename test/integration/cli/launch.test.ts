/** What `wspubsub` runs in a checkout, and what it says to a Node that it cannot use. */
import { existsSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bin, version } from "../../../package.json" with { type: "json" };
import { run, type Run } from "../../support/run.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

const ROOT = join(import.meta.dirname, "../../..");
const LAUNCHER = join(ROOT, bin.wspubsub);

/** A Node that says it is another one. */
function asNode(pretended: string, ...args: string[]): Promise<Run> {
  const code = `Object.defineProperty(process, "versions", { value: { node: "${pretended}" } });`;
  const preload = `data:text/javascript,${encodeURIComponent(code)}`;
  return run("node", ["--import", preload, ...args, "--version"], { cwd: ROOT });
}

test("a checkout runs its sources, also where something was built", async () => {
  expect(existsSync(join(ROOT, "src/cli/main.ts"))).toBe(true);
  const folder = await temporaryFolder();
  for (const [path, says] of [
    ["src/cli/main.ts", "source"],
    ["dist/cli/main.js", "built"],
  ] as const) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), `console.log("${says}");`);
  }
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await cp(LAUNCHER, join(folder, "src/cli/launch.js"));
  const { stdout } = await run("node", ["src/cli/launch.js"], { cwd: folder });
  expect(stdout).toBe("source\n");
});

test("npx finds it, with the arguments and the exit code", async () => {
  const env = { npm_config_update_notifier: "false" };
  const known = await run("npx", ["--no", "--", "wspubsub", "--version"], { cwd: ROOT, env });
  expect(known).toMatchObject({ code: 0, stdout: `${version}\n` });
  const wrong = await run("npx", ["--no", "--", "wspubsub", "nothing"], { cwd: ROOT, env });
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
});

test.each(["20.20.2", "9.0.0"])("Node %s gets a sentence", async (old) => {
  expect(await asNode(old, LAUNCHER)).toEqual({
    code: 1,
    stdout: "",
    stderr: `wspubsub needs Node 22 or newer. This is ${old}\n`,
  });
});

test("a Node that strips no types gets a sentence in a checkout", async () => {
  const { code, stderr } = await asNode("22.12.0", "--no-strip-types", LAUNCHER);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^wspubsub needs Node 22.18 or newer in a checkout, .* This is 22.12.0\n$/,
  );
});

test("Node 22 is new enough", async () => {
  const { code, stdout } = await asNode("22.18.0", LAUNCHER);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${version}\n` });
});
