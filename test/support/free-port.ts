/**
 * TCP ports of 127.0.0.1 for servers that are told their port and cannot say which one they took.
 *
 * Such a server listens seconds after its port was looked for. A port of the system's ephemeral range would in the
 * meantime be given to any server of another test that listens on port 0, and to any connection. So they come from below
 * that range (32,768 on Linux, 49,152 elsewhere), and each of vitest's workers looks in a slice of its own.
 */
import { once } from "node:events";
import { createServer } from "node:net";

const FIRST_PORT = 20_000;
const SLICES = 12;
const SLICE_PORTS = 1000;

/** Ports that this process has given away. */
const given = new Set<number>();

/** A port that nobody listens on, and that nobody else will be given by chance. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < SLICE_PORTS; tries++) {
    const port = FIRST_PORT + slice() * SLICE_PORTS + Math.floor(Math.random() * SLICE_PORTS);
    if (!given.has(port) && (await listens(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error("Cannot find a free port");
}

/** Which slice is this process's: vitest numbers its workers from 1; other programs have the first. */
function slice(): number {
  return Number(process.env["VITEST_POOL_ID"] ?? 0) % SLICES;
}

/** Whether a server can listen there now. */
async function listens(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
