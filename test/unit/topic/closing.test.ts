/**
 * PROTOCOL.md, 8.2 and 8.4: whatever a Close frame holds, its sender has left and is answered. The handlers are
 * called as the runtime calls them, since its clients cannot send most of this; integration sends it over TCP.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { failNextWrite } from "../../support-in-workerd/faults.ts";
import { open, publisher, subscriber, hubSockets } from "../support/sockets.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

const INVALID_CODE = { code: 1002, reason: "" };
const INVALID_REASON = { code: 1007, reason: "" };

const CLOSES = [
  ["an ordinary code", 1000, "", { code: 1000, reason: "" }],
  ["a code and a reason", 4321, "x".repeat(123), { code: 4321, reason: "x".repeat(123) }],
  ["no code", 1005, "", { code: 1005, reason: "" }],
  ["code 0", 0, "", INVALID_CODE],
  ["code 1", 1, "why", INVALID_CODE],
  ["code 999", 999, "", INVALID_CODE],
  ["code 1004", 1004, "", INVALID_CODE],
  ["code 1006", 1006, "", INVALID_CODE],
  ["code 1015", 1015, "", INVALID_CODE],
  ["code 5000", 5000, "", INVALID_CODE],
  ["code 65535", 65_535, "x".repeat(200), INVALID_CODE],
  ["a reason cut in mid-character", 1000, `${"x".repeat(122)}\uFFFD`, INVALID_REASON],
  ["a reason of Latin-1 text", 1000, "caf\uFFFD", INVALID_REASON],
  ["a reason that is too long", 1000, "x".repeat(124), INVALID_REASON],
  ["a reason that is far too long", 1000, "é".repeat(10_000), INVALID_REASON],
  ["half a surrogate pair", 1000, "\uD83D", INVALID_REASON],
] as const;

const KINDS = (["publisher", "subscriber"] as const).flatMap((role) =>
  (["raw", "stream"] as const).flatMap((protocol) => [
    { role, protocol, name: "awake", settle: wake },
    { role, protocol, name: "asleep", settle: evict },
  ]),
);

/** Has the runtime report the close of the one socket of a role, which no wake is to take back from then on. */
function reportClose(
  topic: DurableObjectStub<Topic>,
  role: "publisher" | "subscriber",
  code: number,
  reason: string,
): Promise<void> {
  return runInDurableObject(topic, (instance, ctx) => {
    const [socket] = hubSockets(ctx, role);
    if (socket === undefined) throw new Error(`No ${role}`);
    instance.webSocketClose(socket, code, reason);
    expect(socket.deserializeAttachment()).toEqual({ v: 1, role: "dismissed" });
  });
}

describe.each(KINDS)("a $role, $protocol, $name", ({ role, protocol, settle }) => {
  test.each(CLOSES)("8.2 8.4 that closes with %s", async (_, code, reason, answer) => {
    const topic = freshTopic();
    const ends = { graceSeconds: 60 };
    const source = await open(topic, publisher(ends, { protocol }));
    const reader = await open(topic, subscriber(null, { protocol }));
    if (protocol === "stream") await reader.next();
    await settle(topic);
    await reportClose(topic, role, code, reason);
    const leaver = role === "publisher" ? source : reader;
    expect(await leaver.next()).toEqual(answer);
    const left =
      role === "publisher"
        ? { phase: "grace", publishers: 0, subscribers: 1 }
        : { phase: "live", publishers: 1, subscribers: 0 };
    expect(await topic.describe()).toEqual(left);
    await evict(topic);
    expect(await topic.describe()).toEqual(left);
  });
});

const DURABLE: Partial<Policy> = { historyMessages: 10, graceSeconds: 60 };

test("8.2 who leaves is answered even where its leaving cannot be stored", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher(DURABLE));
  failNextWrite(topic, { matching: "state" });
  source.close(4000, "bye");
  expect(await source.next()).toEqual({ code: 4000, reason: "bye" });
  const left = { phase: "grace", publishers: 0 };
  // Whoever comes next notices.
  await open(topic, subscriber());
  expect(await topic.describe()).toMatchObject(left);
  await evict(topic);
  expect(await topic.describe()).toMatchObject(left);
});
