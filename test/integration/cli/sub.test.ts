/** `wspubsub sub`: stdout has the messages and nothing else, stderr has the rest, and each end is told by its code. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { expectFailure, expectUsageError } from "../../support/cli.ts";
import { admin } from "../../support/admin.ts";
import { cliTopic, run, startCommand, runShell } from "../../support/cli-messages.ts";
import { playHub } from "../../support/played-hub.ts";
import { HAS_TERMINAL, runAtTerminal } from "../../support/terminal.ts";

const KEPT = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };
const AT = "2026-11-27T09:30:00.125Z";

/** Says messages to a subscriber. */
function messages(cursor: string, ...texts: string[]): object {
  return { type: "messages", cursor, at: AT, messages: texts };
}

function open(cursor: string): object {
  return { type: "open", cursor, recovered: null };
}

describe("messages", () => {
  test("of all kinds, in each form", async () => {
    const { domain, topic, env } = await cliTopic();
    await run(["pub", domain, topic, "ä\u001b[2J\u202e\n👋", ""], { env });
    await run(["pub", domain, topic, "--binary"], { env, input: Buffer.from([0, 255]) });
    const args = ["sub", domain, topic, "--since", "earliest", "--count", "3"];
    const lines = await run(args, { env });
    expect(lines).toMatchObject({ code: 0, stderr: "" });
    expect(lines.stdout).toBe("ä\u001b[2J\u202e\n👋\n\n\u0000\ufffd\n");
    expect((await run([...args, "--raw"], { env })).stdout).toBe(
      "ä\u001b[2J\u202e\n👋\u0000\ufffd",
    );
    const { stdout } = await run([...args, "--json"], { env });
    expect(stdout).not.toMatch(/[^\n\P{C}]/u);
    const told = { cursor: expect.any(String), at: expect.stringMatching(/^\d{4}-.*Z$/) };
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { data: "ä\u001b[2J\u202e\n👋", ...told },
      { data: "", ...told },
      { base64: "AP8=", ...told },
    ]);
  });

  test("go on where another run ended", async () => {
    const { domain, topic, env } = await cliTopic();
    await run(["pub", domain, topic, "a", "b", "c", "d", "--batch", "4"], { env });
    const first = await run(["sub", domain, topic, "--since", "-3", "--count", "1", "--json"], {
      env,
    });
    const { data, cursor } = JSON.parse(first.stdout);
    expect(data).toBe("b");
    const rest = await run(["sub", domain, topic, "--since", cursor, "--count", "2"], { env });
    expect(rest).toEqual({ code: 0, stdout: "c\nd\n", stderr: "" });
  });

  test("that nobody reads any more end it, and are no failure", async () => {
    const { domain, topic, env } = await cliTopic();
    const input = "x\n".repeat(20_000);
    await run(["pub", domain, topic, "--batch", "1000"], { env, input });
    const line = `wspubsub sub ${domain} ${topic} --since earliest | head -1; echo "code \${PIPESTATUS[0]}"`;
    expect(await runShell(line, env)).toEqual({ code: 0, output: "x\ncode 0\n" });
  });

  test.runIf(HAS_TERMINAL)("are shown to a terminal, and not obeyed", async () => {
    const { domain, topic, env } = await cliTopic();
    await run(["pub", domain, topic, "a\u001b[2J\nb"], { env });
    await run(["pub", domain, topic, "--binary"], { env, input: Buffer.from([0, 27, 255]) });
    const command = `node src/cli/main.ts --state /nowhere sub ${domain} ${topic} --since earliest --count 2`;
    const { code, screen } = await runAtTerminal(command, env, []);
    expect(code).toBe(0);
    expect(screen.replaceAll("\r", "")).toBe("a\\u{1b}[2J\\u{a}b\n[3 bytes, binary]\n");
  });
});

describe("a topic", () => {
  test("that is not live is waited for, or not", async () => {
    const { domain, topic, env } = await cliTopic(KEPT);
    const refused = await run(["sub", domain, topic, "--wait", "0"], { env });
    expectFailure(refused, "The hub refused (topic-not-live): nobody publishes to the topic");
    const waiting = startCommand(["sub", domain, topic], env);
    const publisher = startCommand(["pub", domain, topic], env);
    // Whoever comes first, the topic goes on until it is read.
    const args = ["sub", domain, topic, "--since", "earliest", "--count", "1", "--wait", "30"];
    const first = startCommand(args, env);
    publisher.write("a\n");
    await first.line(/^a$/);
    expect(await first.exited).toBe(0);
    publisher.write("b\n");
    await waiting.line(/^b$/);
    publisher.endInput();
    expect(await publisher.exited).toBe(0);
  });

  test("that is deleted: not all of it, perhaps", async () => {
    const { domain, topic, env } = await cliTopic(KEPT);
    const publisher = startCommand(["pub", domain, topic], env);
    publisher.write("a\n");
    const reader = startCommand(["sub", domain, topic, "--since", "earliest"], env);
    await reader.line(/^a$/);
    expect((await admin("DELETE", `${domain}/topics/${topic}`)).status).toBe(200);
    expect(await reader.exited).toBe(1);
    expect(reader.output()).toContain("The topic has ended: deleted.");
    expect(reader.output()).toContain("The topic was deleted: this may not be all of it");
    expect(await publisher.exited).toBe(1);
    expect(publisher.output()).toContain("(topic-deleted)");
  });

  test("that is abandoned is waited for", async () => {
    const url = await playHub({
      opened: (socket, number) => {
        socket.say(open(`a-${number}`));
        if (number === 1) {
          socket.say(messages("a-2", "first life"));
          socket.say({ type: "end", reason: "abandoned" });
          socket.close(1000, "topic-ended");
        } else {
          socket.say(messages("a-3", "second life"));
          socket.say({ type: "end", reason: "finished" });
          socket.close(1000, "topic-finished");
        }
      },
    });
    expect(await run(["sub", "d", "t"], { env: { HUB_URL: url } })).toEqual({
      code: 0,
      stdout: "first life\nsecond life\n",
      stderr: "The topic has ended: abandoned.\nThe topic has ended: finished.\n",
    });
  });
});

describe("a connection that is cut", () => {
  test("comes back, and stderr tells of that and of gaps", async () => {
    const asked: (string | null)[] = [];
    const url = await playHub({
      opened: (socket, number) => {
        asked.push(socket.url.searchParams.get("since"));
        socket.say(open(`a-${number}`));
        if (number === 1) {
          socket.say(messages("a-5", "one"));
          void socket.settled().then(() => socket.cut());
          return;
        }
        socket.say({ type: "gap", from: "a-5", to: "a-7" });
        socket.say(messages("a-8", "two"));
        socket.say({ type: "end", reason: "finished" });
        socket.close(1000, "topic-finished");
      },
    });
    expect(await run(["sub", "d", "t"], { env: { HUB_URL: url } })).toEqual({
      code: 0,
      stdout: "one\ntwo\n",
      stderr: [
        "Cut off (connection-lost): connecting again.",
        "Connected again.",
        "Messages are missing: those after a-5, up to a-7.",
        "The topic has ended: finished.\n",
      ].join("\n"),
    });
    expect(asked).toEqual([null, "a-5"]);
  });

  test("ends it with --no-reconnect, when all that came is printed", async () => {
    let sockets = 0;
    const lines = Array.from({ length: 1000 }, (_, n) => `${n} ${"x".repeat(500)}`);
    const url = await playHub({
      opened: (socket, number) => {
        sockets = number;
        socket.say(open("a-0"));
        socket.say(messages("a-1000", ...lines));
        socket.close(1012, "service-restart");
      },
    });
    const cut = await run(["sub", "d", "t", "--no-reconnect"], { env: { HUB_URL: url } });
    expect({ ...cut, stdout: cut.stdout.length }).toEqual({
      code: 1,
      stdout: `${lines.join("\n")}\n`.length,
      stderr: expect.stringContaining("(service-restart)"),
    });
    expect(sockets).toBe(1);
  });

  test("by a key that has ended stays so", async () => {
    const url = await playHub({ opened: (socket) => socket.refuse(4501, "key-rejected") });
    const refused = await run(["sub", "d", "t"], { env: { HUB_URL: url, WSPUBSUB_KEY: "k" } });
    expectFailure(refused, "The hub refused (key-rejected): B. See which keys");
    expect(refused.stderr).not.toContain("Cut off");
  });

  test("is none for who got in, however long it takes", async () => {
    const url = await playHub({
      opened: (socket) => {
        socket.say(open("a-0"));
        setTimeout(() => {
          socket.say({ type: "end", reason: "finished" });
          socket.close(1000, "topic-finished");
        }, 4500);
      },
    });
    const env = { HUB_URL: url, WSPUBSUB_CONNECT_LIMIT_MS: "3000" };
    expect(await run(["sub", "d", "t"], { env })).toMatchObject({ code: 0 });
  });

  test("by a hub that is busy is given up only in the beginning", async () => {
    const url = await playHub({ opened: (socket) => socket.refuse(4453, "topic-full") });
    const env = { HUB_URL: url, WSPUBSUB_CONNECT_LIMIT_MS: "400" };
    expectFailure(await run(["sub", "d", "t"], { env }), "The hub refused (topic-full): B");
  });
});

test("a hub that does not close its half keeps nobody", async () => {
  const url = await playHub({
    opened: (socket) => {
      socket.say(open("a-0"));
      socket.say(messages("a-1", "one"));
      socket.stall();
    },
  });
  const args = ["sub", "d", "t", "--count", "1"];
  const done = await run(args, { env: { HUB_URL: url } });
  expect(done).toEqual({ code: 0, stdout: "one\n", stderr: "" });
});

test("a signal ends it as it would have, and the place is told", async () => {
  const { domain, topic, env } = await cliTopic();
  await run(["pub", domain, topic, "a"], { env });
  const reader = startCommand(["sub", domain, topic, "--since", "earliest"], env);
  await reader.line(/^a$/);
  expect(await reader.end("SIGINT")).toBe("SIGINT");
  const [, cursor = ""] = /^SIGINT: --since=(\S+) goes on from here$/m.exec(reader.output()) ?? [];
  await run(["pub", domain, topic, "b"], { env });
  const rest = await run(["sub", domain, topic, `--since=${cursor}`, "--count", "1"], { env });
  expect(rest.stdout).toBe("b\n");
});

test("a signal while a message is being written: it is the first one of the next run", async () => {
  const large = "b".repeat(1_000_000);
  const url = await playHub({
    opened: (socket) => {
      socket.say(open("a-0"));
      socket.say(messages("a-1", "first"));
      socket.say(messages("a-2", large));
    },
  });
  const child = spawn("node", ["src/cli/main.ts", "--state", "/nowhere", "sub", "d", "t"], {
    env: { PATH: process.env["PATH"], WSPUBSUB_DEV_VARS: "/dev/null", HUB_URL: url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const told = text(child.stderr);
  const begun = Promise.withResolvers<void>();
  child.stdout.on("data", (chunk: Buffer) => {
    if (!chunk.includes("b")) return;
    // What is not read does not fit into a pipe.
    child.stdout.pause();
    begun.resolve();
  });
  await begun.promise;
  child.kill("SIGINT");
  expect(await told).toBe("SIGINT: --since=a-1 goes on from here\n");
});

test.each([
  [["--raw", "--json"], "--raw or --json"],
  [["--count", "0"], "whole number"],
  [["--wait", "x"], "whole number"],
])("%j is wrong usage", async (args, part) => {
  const env = { HUB_URL: "http://127.0.0.1:2" };
  expectUsageError(await run(["sub", "d", "t", ...args], { env }), part);
});
