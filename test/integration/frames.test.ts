/**
 * PROTOCOL.md, 11.4, 11.5 and 14.5, over real sockets: what a stranger sends costs the hub next to nothing, and
 * keepalives live. What costs is seen in the processor's time, which other work on the machine does not change.
 */
import { afterEach, describe, expect, inject, test } from "vitest";
import { listProcessTree, readUsage } from "../bench/processes/process-tree.ts";
import { databaseUrl, freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { open } from "../support/client.ts";
import { startHub, type HubProcess } from "../support/hub-process.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";
import { parseFrame, STREAM } from "../support/stream-client.ts";

const hub = inject("hub");
const MIB = 1_048_576;
/** Parsing one of these frames took 3 to 9; receiving it, twice, for there is a proxy, is what remains. */
const MOST_CPU_SECONDS = 2;

/** A frame of so many bytes that begins like an honest one and is valid JSON. */
function hostile(head: string, bytes: number): string {
  return `${head},"x":[${"{},".repeat((bytes - head.length) / 3 - 4)}{}]}`;
}

/** What comes after the first frame: the slug of an error, and the code of the close. */
async function answerTo(raw: RawSocket): Promise<{ type: string | null; code: number }> {
  let type: string | null = null;
  for (;;) {
    const { opcode, payload } = await raw.next();
    if (opcode === OPCODE.close) return { type, code: payload.readUInt16BE(0) };
    const frame = parseFrame(payload.toString());
    if (frame.type === "error") type = frame.problem.type;
  }
}

const INVALID = { type: "urn:wspubsub:problem:invalid-frame", code: 4500 };

describe.runIf(hub.sqlEndpoint !== null)("hostile frames", () => {
  const hubs: HubProcess[] = [];
  afterEach(async () => {
    for (const own of hubs.splice(0)) await own.stop();
  });

  test.each([
    ["11.5", "subscriber", '{"type":"ack","cursor":"k3x9q0v7h2ma-43"'],
    ["14.5", "publisher", '{"type":"publish","id":"1","messages":["a"]'],
  ] as const)("%s one of 32 MiB of a %s is not parsed", async (_, role, head) => {
    const own = await startHub({ env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    const { pub, sub } = topicUrls(own.url.replace(/^http/, "ws"), await freshDomain());
    const sender = role === "publisher" ? await RawSocket.open(pub, STREAM) : null;
    if (sender === null) await open(pub);
    const raw = sender ?? (await RawSocket.open(sub, STREAM));
    const cpuSeconds = () => readUsage(listProcessTree(own.pid)).cpuSeconds;
    const frame = hostile(head, 32 * MIB - 64);
    const before = cpuSeconds();
    raw.send(OPCODE.text, frame);
    expect(await answerTo(raw)).toEqual(INVALID);
    expect(cpuSeconds() - before).toBeLessThan(MOST_CPU_SECONDS);
    raw.destroy();
  });
});

describe("frames of subscribers", () => {
  test("11.4 keepalives live, and more than 120 a minute are closed with 4429", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const [patient, chatty] = [await RawSocket.open(sub), await RawSocket.open(sub)];
    for (let n = 0; n < 120; n++) patient.send(OPCODE.text, "keepalive");
    for (let n = 0; n < 121; n++) chatty.send(OPCODE.binary, "keepalive");
    const { opcode, payload } = await chatty.next();
    expect([opcode, payload.readUInt16BE(0)]).toEqual([OPCODE.close, 4429]);
    publisher.send("as ever");
    expect((await patient.next()).payload.toString()).toBe("as ever");
    patient.destroy();
    chatty.destroy();
  });
});
