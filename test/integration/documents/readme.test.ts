/** README's first minutes, as they stand there. Its blocks with curl are in `posts.test.ts` and `pages.test.ts`. */
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { scripts } from "../../../package.json" with { type: "json" };
import { admin } from "../../support/admin.ts";
import { A_HUB, deployment, FAKE_WRANGLER, useAccount } from "../../support/fake-account.ts";
import { documentBlock } from "../../support/document-block.ts";
import { adapt, startScript } from "../../support/document-commands.ts";
import { ADMIN_TOKEN, startFakeHub, WELL } from "../../support/fake-hub.ts";
import { freePort } from "../../support/free-port.ts";
import { startProgram, type Program } from "../../support/process.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

const { url, sqlEndpoint } = inject("hub");
/** What is installed for these tests is what `npm ci` installs. */
const INSTALLS = "npm ci && ";
const PATIENCE = { timeout: 30_000 };

useAccount();

function endAfterTest(program: Program): Program {
  onTestFinished(async () => void (await program.end("SIGKILL")));
  return program;
}

describe.runIf(sqlEndpoint !== null)("README", () => {
  test("starts a hub", async () => {
    const block = await documentBlock("README.md", "start");
    // Without npm between, which would not hand on the signal that ends it.
    const command = adapt(block.trim(), { "npm ci && npm run dev": scripts.dev });
    const args = `--port ${await freePort()} --state ${await temporaryFolder()}`;
    const program = startProgram("sh", ["-ec", `exec ${command} ${args}`]);
    onTestFinished(async () => void (await program.end("SIGINT")));
    await program.line(/^Ready/);
  });

  test("publishes and reads a first message", async () => {
    const block = await documentBlock("README.md", "first-message");
    const topic = crypto.randomUUID();
    const own = { "localhost:8787": new URL(url).host, "/test/hello": `/test/${topic}` };
    const [publish = "", read = ""] = adapt(block.trim(), own).split("\n");
    const state = async (): Promise<unknown> => (await admin("GET", `test/topics/${topic}`)).body;
    // wscat says nothing where it has no terminal.
    const publisher = endAfterTest(startScript(`exec ${publish}`));
    await expect.poll(state, PATIENCE).toMatchObject({ publishers: 1 });
    const reader = endAfterTest(startScript(`exec ${read}`));
    await expect.poll(state, PATIENCE).toMatchObject({ subscribers: 1 });
    publisher.write("a first message\n");
    await reader.line(/a first message/);
  });

  test("deploys, here to an account that is none", async () => {
    const hub = await startFakeHub(() => Promise.resolve({ status: 200, body: WELL }));
    const block = await documentBlock("README.md", "deploy");
    const command = adapt(block.trim(), { [INSTALLS]: "" });
    const program = startScript(`${command} -- --yes --domain setup-example`, {
      ...A_HUB,
      ADMIN_TOKEN,
      WSPUBSUB_WRANGLER: FAKE_WRANGLER,
      WSPUBSUB_TEST_LOOPBACK: "1",
      TARGETS: JSON.stringify([hub.url]),
      RECORD: process.env["RECORD"] ?? "",
    });
    const code = await program.exited;
    expect({ code, output: program.output() }).toMatchObject({ code: 0 });
    expect(program.output()).toContain(`${hub.url} is well`);
    expect(deployment()).toBeDefined();
  });
});
