/** Runs one command in a load generator of its own, pinned away from the server. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

import { generatorCpu, pinned } from "../processes/pinned.ts";
import { type LoadCommand, type LoadReply, type ResultOf, isLoadReply } from "./load-command.ts";

const program: string = fileURLToPath(new URL("generator.ts", import.meta.url));

export async function runLoad<Command extends LoadCommand>(
  command: Command,
): Promise<ResultOf[Command["kind"]]> {
  const [file, ...args] = pinned([process.execPath, program], generatorCpu);
  const child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const reply = await new Promise<LoadReply<ResultOf[Command["kind"]]>>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      reject(new Error(`The load generator died (${signal ?? `exit code ${code}`})`));
    });
    child.once("message", (message) => {
      if (isLoadReply<ResultOf[Command["kind"]]>(message)) resolve(message);
      else reject(new Error("The load generator did not answer with a result"));
    });
    child.send(command);
  });
  if (!reply.ok) throw new Error(reply.reason);
  return reply.result;
}
