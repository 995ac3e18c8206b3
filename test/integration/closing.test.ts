/**
 * PROTOCOL.md, 8.2 and 8.4, over TCP: Close frames that no library would send. Whoever sends one has left, and is
 * answered.
 */
import { afterEach, describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open } from "../support/client.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";

const { url, sqlEndpoint, adminToken } = inject("hub");

const sockets: RawSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

function close(code: number, reason: string | Buffer = ""): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}

const CLOSES: [string, Buffer, Buffer][] = [
  ["a code and a reason", close(4321, "x".repeat(123)), close(4321, "x".repeat(123))],
  ["no code", Buffer.alloc(0), Buffer.alloc(0)],
  ["half a code", Buffer.alloc(1), Buffer.alloc(0)],
  ["code 0", close(0), close(1002)],
  ["code 1", close(1, "why"), close(1002)],
  ["code 999", close(999), close(1002)],
  ["code 1004", close(1004), close(1002)],
  ["code 1006", close(1006), close(1002)],
  ["code 1015", close(1015), close(1002)],
  ["code 5000", close(5000), close(1002)],
  ["code 65535", close(65_535), close(1002)],
  [
    "a reason cut in mid-character",
    close(1000, Buffer.from("é".repeat(62)).subarray(0, 123)),
    close(1007),
  ],
  ["a reason of Latin-1 text", close(1000, Buffer.from("café", "latin1")), close(1007)],
  ["a reason that is too long", close(1000, "x".repeat(124)), close(1007)],
  ["a reason that is far too long", close(1000, "x".repeat(5000)), close(1007)],
];

describe.runIf(sqlEndpoint !== null && adminToken !== null).each([
  ["publisher", null],
  ["publisher", "wspubsub.v1"],
  ["subscriber", null],
  ["subscriber", "wspubsub.v1"],
] as const)("a %s of the subprotocol %s", (role, protocol) => {
  test.each(CLOSES)("8.2 8.4 that closes with %s", async (_, sent, answer) => {
    const { key, domain } = await freshDomain({ grace_seconds: 60 });
    const { pub, sub } = topicUrls(url, { key, domain });
    const topic = sub.split("/").at(-1) ?? "";
    if (role === "subscriber") await open(pub);
    const leaver = await RawSocket.open(role === "publisher" ? pub : sub, protocol);
    sockets.push(leaver);
    leaver.send(OPCODE.close, sent);
    let frame = await leaver.next();
    while (frame.opcode !== OPCODE.close) frame = await leaver.next();
    expect(frame.payload.toString("latin1")).toBe(answer.toString("latin1"));
    const { body } = await admin("GET", `${domain}/topics/${topic}`);
    expect(body).toMatchObject(
      role === "publisher"
        ? { phase: "grace", publishers: 0 }
        : { phase: "live", publishers: 1, subscribers: 0 },
    );
  });
});

test("8.5 a client that has sent a heartbeat hears of its close at once, while the topic goes on", async () => {
  const { pub, sub } = freshTopic();
  const first = await open(pub);
  const reader = await open(sub);
  first.send("wspubsub:ping");
  expect(await first.texts(1)).toEqual(["wspubsub:pong"]);
  // One that has sent nothing is displaced before, and hears of it ten seconds late.
  const { pub: silentPub } = freshTopic();
  const silent = await open(silentPub);
  await open(`${silentPub}?takeover=1`);
  const successor = await open(`${pub}?takeover=1`);
  const closes = [first, silent].map(async (client) => ({ client, ...(await client.closed()) }));
  expect(await Promise.race(closes)).toMatchObject({ client: first, code: 4509 });
  successor.send("goes on");
  expect(await reader.texts(1)).toEqual(["goes on"]);
});
