/** `pub` and `sub` at the hub of `npm run dev`: the keys that it makes, and a hub that is killed and comes back. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCli } from "../../support/cli.ts";
import { startHub } from "../../support/hub-process.ts";
import { startProgram } from "../../support/process.ts";

test(
  "a hub that is killed loses nothing, and the test key is found",
  { timeout: 120_000 },
  async () => {
    const state = await mkdtemp(join(tmpdir(), "wspubsub-hub-"));
    onTestFinished(() => rm(state, { recursive: true, force: true }));
    const hub = await startHub({ state });
    const start = (...args: string[]) => {
      const program = startProgram("node", ["src/cli/main.ts", "--state", state, ...args]);
      onTestFinished(async () => void (await program.end("SIGKILL")));
      return program;
    };
    const reader = start("sub", "shared", "restarts", "--count", "4", "--since", "earliest");
    const writer = start("pub", "shared", "restarts");
    writer.write("one\ntwo\n");
    await writer.line(/^Using the test key of "shared", which npm run dev makes\.$/);
    await reader.line(/^two$/);
    await hub.kill();
    await reader.line(/^Cut off/);
    await writer.line(/^Cut off/);
    writer.write("three\n");
    writer.endInput();
    const again = await startHub({ state, port: hub.port });
    onTestFinished(() => again.stop());
    expect(await writer.exited).toBe(0);
    const last = await runCli(["--state", state, "pub", "shared", "restarts", "four"]);
    expect(last.code).toBe(0);
    expect(await reader.exited).toBe(0);
    const received = reader
      .output()
      .split("\n")
      .filter((line) => /^[a-z]+$/.test(line));
    expect(received).toEqual(["one", "two", "three", "four"]);
    // Another database may have other keys.
    const env = { DATABASE_URL: "postgres://u:p@127.0.0.1:2/d", HUB_URL: hub.url };
    const unseeded = await runCli(["--state", state, "pub", "shared", "t", "m"], { env });
    expect(unseeded).toMatchObject({ code: 1, stderr: expect.stringContaining("(key-required)") });
    const other = await runCli(["--state", state, "pub", "another", "t", "m"]);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining("(key-required)") });
  },
);
