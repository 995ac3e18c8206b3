/**
 * What it costs the server to publish what is posted: some connections that are kept alive, each with one request under
 * way, one after the other. Every post must be published.
 */
import { Agent, request } from "node:http";

import { listProcessTree } from "../processes/process-tree.ts";
import type { PostCommand, PostResult } from "./load-command.ts";
import { busyBetween, takeReading } from "./reading.ts";

const CONNECTIONS = 32;

export async function measurePosts(command: PostCommand): Promise<PostResult> {
  const { scenario, endpoint, messageBytes, warmupSeconds, seconds } = command;
  const { messagesPerPost, path, headers } = scenario;
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const message = "x".repeat(messageBytes);
  const body = Array.from({ length: messagesPerPost }, () => message).join("\n");
  const options = {
    agent,
    host: "127.0.0.1",
    port: endpoint.port,
    path,
    method: "POST",
    headers: { ...headers, "Content-Length": Buffer.byteLength(body) },
  };
  let posts = 0;

  function post(): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = request(options, (response) => {
        const { statusCode } = response;
        response.on("error", reject);
        response.on("end", () => {
          posts += 1;
          if (statusCode === 200) resolve();
          else reject(new Error(`A post was answered with ${statusCode}`));
        });
        response.resume();
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  async function postFor(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    const inTurn = async (): Promise<void> => {
      while (performance.now() < untilMs) await post();
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, inTurn));
  }

  try {
    await postFor(warmupSeconds * 1000);
    const pids = listProcessTree(command.serverPid);
    const before = takeReading(pids);
    posts = 0;
    await postFor(seconds * 1000);
    const between = busyBetween(before, takeReading(pids));
    return {
      scenario,
      postsPerSecond: posts / between.seconds,
      cpuMicrosPerPost: (between.serverSeconds / posts) * 1e6,
      ...between.busy,
    };
  } finally {
    agent.destroy();
  }
}
