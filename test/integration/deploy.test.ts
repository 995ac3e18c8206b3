/** `npm run deploy`: no hub's objects are left behind by accident, and none gets secrets that it could not use. */
import { asked, deployment, FAKE_WRANGLER, stub, useAccount } from "../support/fake-account.ts";
import { chmod } from "node:fs/promises";
import { beforeEach, describe, expect, test, vi, type Mock } from "vitest";
import { askForNeon, neonEndpoint } from "../../src/local/check-hub-database.ts";
import { confirmMove } from "../../src/local/confirm-move.ts";
import { deployHub } from "../../src/local/deploy-hub.ts";
import { startFakeHub } from "../support/fake-hub.ts";
import { startProgram } from "../support/process.ts";
import { fileWith } from "../support/temporary-files.ts";

const NOT_THERE = "This Worker does not exist on your account. [code: 10007]";
const NO_LOGIN = "In a non-interactive environment, it's necessary to set a CLOUDFLARE_API_TOKEN";
const AT_NEON = "postgres://u:hunter2@ep-a-1.eu-central-1.aws.neon.tech/d";
const TOKEN = "an-admin-token-that-is-long-enough-0123456789";

/** What it says beside wrangler's words. */
let said: Mock<(words: string) => void>;

useAccount();
beforeEach(() => {
  said = vi.spyOn(console, "error").mockImplementation(() => {}) as typeof said;
  return () => said.mockRestore();
});

/** Deploys where nobody can answer; `deployed`: the jurisdiction of each version, or what wrangler fails with. */
function deploy(deployed: readonly (string | null)[] | string, ...args: string[]): Promise<number> {
  stub({ DEPLOYED: JSON.stringify(deployed) });
  return deployHub(args);
}

function to(jurisdiction: string): string[] {
  return ["--var", `JURISDICTION:${jurisdiction}`];
}

function allSaid(): string {
  return said.mock.calls.flat().join("\n");
}

describe("npm run deploy", () => {
  test.each([
    ["the same, none", [null], []],
    ["the same, empty", [""], []],
    ["the same", ["eu"], to("eu")],
    ["the same in every version", ["eu", "eu"], to("eu")],
    ["nothing yet", NOT_THERE, to("us")],
    ["no such Worker", 'Worker "wspubsub" not found.', to("us")],
    ["what cannot be told, and none is wanted", NO_LOGIN, []],
  ])("deploys where the hub has %s", async (_, deployed, args) => {
    const file = await fileWith({ DATABASE_URL: AT_NEON, ADMIN_TOKEN: TOKEN });
    await chmod(file, 0o600);
    expect(await deploy(deployed, ...args, "--secrets-file", file)).toBe(0);
    expect(deployment()?.args).toEqual(["deploy", ...args, "--secrets-file", file]);
  });

  test.each([
    ["none", [null], to("eu"), "JURISDICTION is none in the deployed hub, and is to be eu"],
    ["another", ["eu"], to("us"), "JURISDICTION is eu in the deployed hub, and is to be us"],
    ["one", ["eu"], [], "JURISDICTION is eu in the deployed hub, and is to be none"],
    ["two", ["eu", null], to("eu"), "JURISDICTION is eu and none in the deployed hub"],
    ["what cannot be told", NO_LOGIN, to("eu"), "If the deployed hub has another one"],
  ])("does not where it has %s, and nobody can be asked", async (_, deployed, args, words) => {
    const error: unknown = await deploy(deployed, ...args).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: "UserError" });
    expect(String(error)).toContain(words);
    expect(String(error)).toContain("The logs of all topics are left behind");
    expect(String(error)).toContain("--accept-loss");
    expect(deployment()).toBeUndefined();
  });

  test("--accept-loss deploys all the same, and is not wrangler's", async () => {
    expect(await deploy(["eu"], "--accept-loss", ...to("us"))).toBe(0);
    expect(asked().map(({ args }) => args)).toEqual([["deploy", "--var", "JURISDICTION:us"]]);
  });

  test("asks of the Worker that is meant", async () => {
    await deploy(NO_LOGIN, "--name", "other");
    expect(asked()[0]?.args).toEqual(["deployments", "status", "--name", "other", "--json"]);
    expect(allSaid()).toContain(`the deployed hub is: ${NO_LOGIN}`);
  });

  test("--dry-run asks nothing", async () => {
    expect(await deploy(["eu"], "--dry-run")).toBe(0);
    expect(asked().map(({ args }) => args)).toEqual([["deploy", "--dry-run"]]);
  });

  test("as a program it says what is not wrangler's, and ends as wrangler does, or with a sentence", async () => {
    const env = { WSPUBSUB_WRANGLER: FAKE_WRANGLER, DEPLOYED: '["eu"]' };
    const help = startProgram("node", ["src/local/deploy.ts", "-h"], env);
    const failing = startProgram("node", ["src/local/deploy.ts", "--dry-run"], {
      ...env,
      FAIL: "deploy",
    });
    const refused = startProgram("node", ["src/local/deploy.ts", "--config", "/no/such.toml"], env);
    expect([await help.exited, await failing.exited, await refused.exited]).toEqual([0, 1, 1]);
    expect(help.output()).toContain("--accept-loss");
    expect(refused.output()).toContain("/no/such.toml");
    expect(refused.output()).not.toMatch(/^ +at /m);
  });

  test.each([
    [to("fr"), "JURISDICTION must be eu, us or none"],
    [["--var", "HOME_REGION:mars"], "HOME_REGION must be empty or one of"],
    [[...to("eu"), "--var=HOME_REGION:enam"], "HOME_REGION lies outside JURISDICTION"],
    [["--accept-loss", ...to("fr")], "JURISDICTION must be eu, us or none"],
  ])("refuses a place that the hub would refuse: %j", async (args, words) => {
    await expect(deploy([null], ...args)).rejects.toThrow(words);
    expect(deployment()).toBeUndefined();
  });
});

/** Deploys with a secrets file; returns what is said beside. */
async function deployWith(content: unknown): Promise<string> {
  const file = await fileWith(content);
  await chmod(file, 0o600);
  await deploy([null], "--secrets-file", file);
  return allSaid().replaceAll(file, "FILE");
}

describe("--secrets-file", () => {
  test.each([
    [
      "another Postgres",
      { DATABASE_URL: "postgres://u:hunter2@db.invalid/d" },
      /^db\.invalid does not speak Neon's HTTP, and the hub speaks nothing else \(https:\/\/api\.invalid\/sql: /,
    ],
    [
      "this machine",
      { DATABASE_URL: "postgres://u:hunter2@localhost/d" },
      /^localhost is this machine, which a hub at Cloudflare cannot reach/,
    ],
    [
      "this machine, in the other form",
      "DATABASE_URL=postgres://u:hunter2@[::1]/d\n",
      /^\[::1\] is this/,
    ],
    ["no database", { DATABASE_URL: "postgres://u:hunter2@ep-a.neon.tech" }, /names no database/],
    ["nothing", { DATABASE_URL: "" }, /DATABASE_URL is not a URL/],
    ["a short token", { ADMIN_TOKEN: "hunter2" }, /ADMIN_TOKEN has fewer than 32 characters/],
    ["no token", { ADMIN_TOKEN: "" }, /ADMIN_TOKEN is missing/],
    ["what is no text", { ADMIN_TOKEN: 7 }, /ADMIN_TOKEN in .* must be a text/],
    ["a list", [], /must be JSON such as/],
    ["neither form", "{", /must be JSON such as/],
  ])("is refused where it names %s, before anything is sent", async (_, content, words) => {
    const error: unknown = await deployWith(content).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: "UserError" });
    const message = error instanceof Error ? error.message : "";
    expect(message).toMatch(words);
    expect(message).toMatch(/Nothing was deployed$/);
    expect(message).not.toContain("hunter2");
    expect(asked()).toEqual([]);
  });

  test("that is not there is a sentence", async () => {
    await expect(deploy([null], "--secrets-file=/no/such")).rejects.toThrow(
      "Cannot read /no/such: ENOENT\nNothing was deployed",
    );
  });

  test("in order says nothing", async () => {
    expect(await deployWith({ DATABASE_URL: AT_NEON, ADMIN_TOKEN: TOKEN })).toBe("");
    expect(await deployWith(`DATABASE_URL=${AT_NEON}\nADMIN_TOKEN=${TOKEN}\n`)).toBe("");
  });

  test.each([
    [
      { ADMIN_TOKEN: TOKEN },
      "FILE has no DATABASE_URL: the hub keeps the one that it has, if it has one",
    ],
    [{ DATABASE_URL: AT_NEON, ADMIN_TOKEN: null }, "FILE has no ADMIN_TOKEN: the hub keeps"],
    [
      `DATABASE_URL='${AT_NEON.replace("hunter2", "a$b")}'\nADMIN_TOKEN=${TOKEN}`,
      "DATABASE_URL in FILE has a $, which wrangler expands: write the file as JSON",
    ],
  ])("tells what may not be meant: %j", async (content, words) => {
    expect(await deployWith(content)).toContain(words);
    expect(deployment()).toBeDefined();
  });

  test("with lines is beaten by the environment, and what counts is checked", async () => {
    stub({ DATABASE_URL: "postgres://u:hunter2@localhost/d" });
    const lines = `DATABASE_URL=${AT_NEON}\nADMIN_TOKEN=${TOKEN}`;
    await expect(deployWith(lines)).rejects.toThrow("localhost is this machine");
    stub({ DATABASE_URL: AT_NEON });
    expect(await deployWith(lines)).toContain("wrangler takes DATABASE_URL from the environment");
    said.mockClear();
    expect(await deployWith({ DATABASE_URL: AT_NEON, ADMIN_TOKEN: TOKEN })).toBe("");
  });

  test.each([
    [0o644, "644"],
    [0o640, "640"],
    [0o602, "602"],
  ])("that others can read is told of: %o", async (mode, shown) => {
    const file = await fileWith({ DATABASE_URL: AT_NEON, ADMIN_TOKEN: TOKEN });
    await chmod(file, mode);
    await deploy([null], "--secrets-file", file);
    expect(allSaid()).toBe(
      `${file} can be read by others on this machine (mode ${shown}): chmod 600, and delete it`,
    );
  });
});

describe("a host that is no Neon's by its name", () => {
  test("is asked where the hub's driver would ask", () => {
    expect(neonEndpoint("db.example.com")).toBe("https://api.example.com/sql");
  });

  test.each([
    ["rows", { status: 200, body: { rows: [], fields: [], command: "SELECT" } }],
    [
      "Neon's errors",
      { status: 400, body: { message: "no password", code: null, internalQuery: null } },
    ],
  ])("speaks Neon's HTTP by %s, and is told no password", async (_, answer) => {
    const { url, seen } = await startFakeHub(answer);
    expect(await askForNeon(`${url}/sql`)).toBeNull();
    expect(seen).toEqual([{ line: "POST /sql", authorization: undefined }]);
  });

  test.each([
    [
      "another API",
      { status: 404, body: { message: "Not Found", code: "404" } },
      "answers 404, and not as",
    ],
    ["a page", { status: 200, body: "<html>" }, "answers, and not as Neon does"],
    ["a list", { status: 200, body: [] }, "answers 200, and not as"],
    ["nothing", { status: 200, body: "null" }, "answers 200, and not as"],
    ["half an error", { status: 400, body: { message: "x" } }, "answers 400, and not as"],
    ["a closed door", "hangs up", "sql: "],
  ] as const)("does not by %s", async (_, answer, words) => {
    const { url } = await startFakeHub(answer);
    expect(await askForNeon(`${url}/sql`)).toContain(words);
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
