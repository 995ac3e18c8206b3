/**
 * The load generator's process: takes one command over IPC, carries it out, answers, ends.
 *
 * A process per measurement gives each the same fresh heap, and its end frees thousands of sockets.
 */
import { type LoadCommand, type LoadReply, type ResultOf, isLoadCommand } from "./load-command.ts";
import { measureCalls } from "./measure-calls.ts";
import { measureConnect } from "./measure-connect.ts";
import { measureEnds } from "./measure-ends.ts";
import { measureFlood } from "./measure-flood.ts";
import { measureIngest } from "./measure-ingest.ts";
import { measureJoin } from "./measure-join.ts";
import { measureKick } from "./measure-kick.ts";
import { measureLatency } from "./measure-latency.ts";
import { measureMemory } from "./measure-memory.ts";
import { measurePosts } from "./measure-posts.ts";
import { measureStorm } from "./measure-storm.ts";
import { measureThroughput } from "./measure-throughput.ts";

process.once("message", (command) => {
  if (isLoadCommand(command)) void answer(command);
});

// The coordinator is gone: nobody waits for the answer.
process.once("disconnect", () => process.exit(1));

async function answer(command: LoadCommand): Promise<void> {
  let reply: LoadReply<ResultOf[LoadCommand["kind"]]>;
  try {
    reply = { ok: true, result: await measure(command) };
  } catch (error) {
    // Refused handshakes, closed connections, lost messages: each is the measurement's answer.
    reply = { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply, () => process.exit(0));
}

function measure(command: LoadCommand): Promise<ResultOf[LoadCommand["kind"]]> {
  switch (command.kind) {
    case "throughput":
      return measureThroughput(command);
    case "latency":
      return measureLatency(command);
    case "memory":
      return measureMemory(command);
    case "ingest":
      return measureIngest(command);
    case "join":
      return measureJoin(command);
    case "storm":
      return measureStorm(command);
    case "ends":
      return measureEnds(command);
    case "connect":
      return measureConnect(command);
    case "kick":
      return measureKick(command);
    case "calls":
      return measureCalls(command);
    case "flood":
      return measureFlood(command);
    case "post":
      return measurePosts(command);
  }
}
