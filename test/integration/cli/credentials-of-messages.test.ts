/** Where `pub`, `sub` and their like get a key or a token from, and that nobody sees it. */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { expectFailure, expectUsageError } from "../../support/cli.ts";
import { run, startCommand, runShell } from "../../support/cli-messages.ts";
import { playHub } from "../../support/played-hub.ts";
import { fileWith, temporaryFolder } from "../../support/temporary-files.ts";

const KEY = "geheim-0123456789-abcdefghij";

/** A hub that acknowledges all, and what it was presented. */
async function startHub(): Promise<{ url: string; presented: string[] }> {
  const presented: string[] = [];
  const url = await playHub({
    opened: ({ offered }) => {
      const name = offered.find((each) => each !== "wspubsub.v1") ?? "";
      presented.push(Buffer.from(name.replace(/^.*\./, ""), "base64url").toString());
    },
    heard: (socket, { id }) => socket.say({ type: "ack", id, cursor: "a-1" }),
  });
  return { url, presented };
}

describe("a credential", () => {
  test("comes from the environment, .dev.vars, a file or stdin; an option counts first", async () => {
    const { url, presented } = await startHub();
    const env = { HUB_URL: url };
    const file = await fileWith(`${KEY}-file\r\n`);
    const vars = await fileWith(`WSPUBSUB_KEY=${KEY}-vars\n`);
    const runs: [string[], Record<string, string>, string?][] = [
      [[], { WSPUBSUB_KEY: `${KEY}-env` }],
      [[], { WSPUBSUB_TOKEN: `${KEY}-token` }],
      [[], { WSPUBSUB_DEV_VARS: vars }],
      [["--key-file", file], { WSPUBSUB_KEY: `${KEY}-env` }],
      [["--token-file", "-"], { WSPUBSUB_KEY: `${KEY}-env` }, `${KEY}-stdin\n`],
    ];
    for (const [args, more, input = ""] of runs) {
      const done = await run(["pub", "d", "t", "m", ...args], { env: { ...env, ...more }, input });
      expect(done).toEqual({ code: 0, stdout: "", stderr: "" });
    }
    expect(presented).toEqual(
      ["env", "token", "vars", "file", "stdin"].map((end) => `${KEY}-${end}`),
    );
  });

  test("that is an argument is seen by others: so it is said", async () => {
    const { url, presented } = await startHub();
    const env = { HUB_URL: url };
    const { code, stderr } = await run(["pub", "d", "t", "m", "--key", KEY], { env });
    expect(code).toBe(0);
    expect(stderr).toBe(
      "Other users of this machine can see --key while this runs: use --key-file or WSPUBSUB_KEY.\n",
    );
    expect(presented).toEqual([KEY]);
  });

  test.runIf(process.platform === "linux")("that is not, nobody sees", async () => {
    const { url } = await startHub();
    const file = await fileWith(KEY);
    const command = startCommand(["pub", "d", "t", "--json", "--key-file", file], { HUB_URL: url });
    command.write("m\n");
    await command.line(/cursor/);
    const line = await readFile(`/proc/${command.pid}/cmdline`, "utf8");
    expect(line).toContain("--key-file");
    expect(line).not.toContain(KEY);
    command.endInput();
    expect(await command.exited).toBe(0);
    expect(command.output()).not.toContain(KEY);
  });

  test("may come out of a pipe that has a name", async () => {
    const { url, presented } = await startHub();
    const line = `wspubsub pub d t m --key-file <(echo ${KEY})`;
    expect(await runShell(line, { HUB_URL: url })).toEqual({ code: 0, output: "" });
    expect(presented).toEqual([KEY]);
  });

  test("that cannot be one is named by its place, and not repeated", async () => {
    const empty = await fileWith("\n");
    const two = await fileWith(`${KEY}\n${KEY}\n`);
    const long = await fileWith("geheim".repeat(50));
    const missing = `${await temporaryFolder()}/none`;
    for (const [args, part] of [
      [["--key-file", empty], `The key is empty (from ${empty})`],
      [["--key-file", two], "The key has more than one line"],
      [["--key-file", long], "The key has more than 256 characters"],
      [["--key-file", missing], `Cannot read ${missing}: ENOENT`],
    ] as const) {
      const env = { HUB_URL: "http://127.0.0.1:2" };
      const refused = await run(["sub", "d", "t", ...args], { env });
      expectFailure(refused, part);
      expect(refused.stderr).not.toContain("geheim");
    }
  });

  test("is one, and stdin has one thing", async () => {
    const env = { HUB_URL: "http://127.0.0.1:2" };
    const both = { ...env, WSPUBSUB_KEY: KEY, WSPUBSUB_TOKEN: KEY };
    expectFailure(await run(["sub", "d", "t"], { env: both }), "are both set: set one of them");
    const two = ["sub", "d", "t", "--key-file", "a", "--token", KEY];
    expectUsageError(await run(two, { env }), "Give one of --key-file, --token-file");
    const busy = await run(["pub", "d", "t", "--key-file", "-"], { env, input: KEY });
    expectUsageError(busy, "stdin has the messages");
  });

  test("needs no hub's admin: HUB_URL is enough, and is needed", async () => {
    expectFailure(await run(["sub", "d", "t"]), "HUB_URL is missing");
    const { url, presented } = await startHub();
    // The keys that everybody knows are those of npm run dev alone.
    for (const domain of ["d", "test", "shared"]) {
      const done = await run(["pub", domain, "t", "m"], { env: { HUB_URL: url } });
      expect(done).toEqual({ code: 0, stdout: "", stderr: "" });
    }
    expect(presented).toEqual(["", "", ""]);
  });
});
