/**
 * Stand-ins for a Postgres that fails: in the ordinary protocol on loopback, and over HTTP where Neon's would be.
 */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startFakeHub, type FakeBehaviour } from "./fake-hub.ts";

/** A refusal, to be let in or of the first statement. */
export interface FakeError {
  readonly code: string;
  readonly message: string;
}

/** What it does: nothing ever, or half an answer, or what it says. */
export type WireBehaviour =
  | "silent"
  | "stalls"
  | "hangs up"
  | "hangs up on a statement"
  | { readonly answers: string }
  | { readonly refusesEntry: FakeError }
  | { readonly refusesStatement: FakeError };

/** A failing database, as a command is told of it. */
export interface FakePostgres {
  readonly env: Readonly<Record<string, string>>;
  /** As messages name it. */
  readonly place: string;
}

/** AuthenticationOk and ReadyForQuery. */
const LET_IN = Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 0, 90, 0, 0, 0, 5, 73]);

/** The code of a question for TLS. */
const SSL_REQUEST = Buffer.from([4, 210, 22, 47]);

/** One in the ordinary protocol, without TLS. */
export async function startWirePostgres(
  behaviour: WireBehaviour,
  host = "127.0.0.1",
): Promise<FakePostgres> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let isIn = false;
    socket.on("data", (data) => {
      if (data.subarray(4).equals(SSL_REQUEST)) return void socket.write("N");
      answer(socket, behaviour, isIn);
      isIn = true;
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), "close");
  });
  const place = `${host}:${(server.address() as AddressInfo).port}`;
  return { place, env: { DATABASE_URL: `postgres://u:geheim@${place}/d` } };
}

/** One of Neon's, whose host exists for the command alone. */
export async function startNeonPostgres(behaviour: FakeBehaviour): Promise<FakePostgres> {
  const { url } = await startFakeHub(behaviour);
  return { place: "ep-fake.neon.tech", env: neonEnv(`${url}/sql`) };
}

/** What a command needs to find an endpoint where a host of Neon's would have it. */
export function neonEnv(endpoint: string): Readonly<Record<string, string>> {
  return {
    DATABASE_URL: "postgres://u:geheim@ep-fake.neon.tech/d?sslmode=require&channel_binding=require",
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "neon-on-loopback.ts")}`,
    NEON_ENDPOINT: endpoint,
  };
}

function answer(socket: Socket, behaviour: WireBehaviour, isIn: boolean): void {
  if (behaviour === "silent") return;
  if (behaviour === "stalls") return void socket.write(isIn ? "T" : LET_IN);
  if (behaviour === "hangs up") return void socket.destroy();
  if (behaviour === "hangs up on a statement") {
    return void (isIn ? socket.destroy() : socket.write(LET_IN));
  }
  if ("answers" in behaviour) return void socket.end(behaviour.answers);
  if ("refusesEntry" in behaviour) return void socket.end(errorResponse(behaviour.refusesEntry));
  if (!isIn) return void socket.write(LET_IN);
  socket.write(Buffer.concat([errorResponse(behaviour.refusesStatement), LET_IN.subarray(-6)]));
}

function errorResponse({ code, message }: FakeError): Buffer {
  const fields = Buffer.from(`SERROR\0C${code}\0M${message}\0DKey (geheim)\0\0`);
  const head = Buffer.from("E\0\0\0\0");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
