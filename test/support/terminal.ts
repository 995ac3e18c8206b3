/** A terminal with somebody at it, for programs that ask: util-linux's `script` has one to give. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

/** Whether there can be one here: macOS's `script` has other options. */
export const HAS_TERMINAL: boolean = process.platform === "linux" && existsSync("/usr/bin/script");

/** Runs a shell command at a terminal; each answer is typed when its question has appeared. */
export async function runAtTerminal(
  command: string,
  env: Readonly<Record<string, string>>,
  answers: readonly (readonly [question: string, keys: string])[],
): Promise<{ readonly code: number | null; readonly screen: string }> {
  const { PATH, HOME } = process.env;
  const child = spawn("/usr/bin/script", ["-qefc", command, "/dev/null"], {
    cwd: `${import.meta.dirname}/../..`,
    env: { ...(PATH && { PATH }), ...(HOME && { HOME }), WSPUBSUB_DEV_VARS: "/dev/null", ...env },
    stdio: "pipe",
  });
  const left = [...answers];
  let screen = "";
  let seen = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      screen += chunk.toString();
      const [question, keys] = left[0] ?? [];
      if (question === undefined || keys === undefined || !screen.slice(seen).includes(question))
        return;
      left.shift();
      seen = screen.length;
      child.stdin.write(keys);
    });
  }
  await once(child, "close");
  return { code: child.exitCode, screen };
}
