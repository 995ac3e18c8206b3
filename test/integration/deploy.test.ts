/** `npm run deploy`: no hub's objects are left behind by accident. */
import { describe, expect, test } from "vitest";
import { confirmMove } from "../../src/local/confirm-move.ts";
import { startProgram } from "../support/process.ts";

const NOT_THERE = "This Worker does not exist on your account. [code: 10007]";
const NO_LOGIN = "In a non-interactive environment, it's necessary to set a CLOUDFLARE_API_TOKEN";

/** Runs it where nobody can answer; `deployed`: the jurisdiction of each version, or what wrangler fails with. */
async function deploy(
  deployed: readonly (string | null)[] | string,
  ...args: string[]
): Promise<{ code: unknown; output: string }> {
  const program = startProgram("node", ["src/local/deploy.ts", ...args], {
    WSPUBSUB_WRANGLER: `${import.meta.dirname}/../support/fake-wrangler.mjs`,
    DEPLOYED: JSON.stringify(deployed),
  });
  const code = await program.exited;
  return { code, output: program.output() };
}

function to(jurisdiction: string): string[] {
  return ["--var", `JURISDICTION:${jurisdiction}`];
}

describe("npm run deploy", () => {
  test.each([
    ["the same, none", [null], []],
    ["the same, empty", [""], []],
    ["the same", ["eu"], to("eu")],
    ["the same in every version", ["eu", "eu"], to("eu")],
    ["nothing yet", NOT_THERE, to("us")],
    ["what cannot be told, and none is wanted", NO_LOGIN, []],
  ])("deploys where the hub has %s", async (_, deployed, args) => {
    const { code, output } = await deploy(deployed, ...args, "--secrets-file", "secrets.json");
    expect(code).toBe(0);
    const passed = JSON.stringify([...args, "--secrets-file", "secrets.json"]);
    expect(output).toContain(`Deployed with ${passed}`);
  });

  test.each([
    ["none", [null], to("eu"), "JURISDICTION is none in the deployed hub, and is to be eu"],
    ["another", ["eu"], to("us"), "JURISDICTION is eu in the deployed hub, and is to be us"],
    ["one", ["eu"], [], "JURISDICTION is eu in the deployed hub, and is to be none"],
    ["two", ["eu", null], to("eu"), "JURISDICTION is eu and none in the deployed hub"],
    ["what cannot be told", NO_LOGIN, to("eu"), NO_LOGIN],
  ])("does not where it has %s, and nobody can be asked", async (_, deployed, args, words) => {
    const { code, output } = await deploy(deployed, ...args);
    expect(code).toBe(1);
    expect(output).toContain(words);
    expect(output).toContain("The logs of all topics are left behind");
    expect(output).toContain("--accept-loss");
    expect(output).not.toContain("Deployed");
    expect(output).not.toMatch(/^ +at /m);
  });

  test("--accept-loss deploys all the same, and is not wrangler's", async () => {
    const { code, output } = await deploy(["eu"], "--accept-loss", ...to("us"));
    expect(code).toBe(0);
    expect(output).toBe('Deployed with ["--var","JURISDICTION:us"]');
  });

  test("asks of the Worker that is meant", async () => {
    const { output } = await deploy(NO_LOGIN, "--name", "other");
    expect(output).toContain(`${NO_LOGIN} (["deployments","status","--name","other","--json"])`);
  });

  test("--dry-run asks nothing", async () => {
    expect((await deploy(["eu"], "--dry-run")).output).toBe('Deployed with ["--dry-run"]');
  });

  test.each(["--help", "-h"])(
    "%s asks nothing, and says what is not wrangler's",
    async (option) => {
      const { output } = await deploy(["eu"], option);
      expect(output).toContain("--accept-loss");
      expect(output).toContain(`Deployed with ["${option}"]`);
    },
  );

  test.each([
    [to("fr"), "JURISDICTION must be eu, us or none"],
    [["--var", "HOME_REGION:mars"], "HOME_REGION must be empty or one of"],
    [[...to("eu"), "--var=HOME_REGION:enam"], "HOME_REGION lies outside JURISDICTION"],
  ])("refuses a place that the hub would refuse: %j", async (args, words) => {
    const { code, output } = await deploy([null], ...args);
    expect(code).toBe(1);
    expect(output).toContain(words);
    expect(output).not.toContain("Deployed");
  });
});

describe("the two questions", () => {
  test.each([
    ["eu", ["yes", "eu"], true],
    ["eu", [" YES ", " eu "], true],
    [null, ["yes", "none"], true],
    ["eu", ["yes", "us"], false],
    ["eu", ["yes", "yes"], false],
    [null, ["yes", ""], false],
    ["eu", ["y"], false],
    ["eu", ["no"], false],
    ["eu", [""], false],
  ] as const)("to %s: %j means %s", async (next, answers, isMeant) => {
    const left: string[] = [...answers];
    expect(await confirmMove(next, () => Promise.resolve(left.shift() ?? ""))).toBe(isMeant);
    expect(left).toEqual([]);
  });
});
