/** `wspubsub latency`: what it measures, and what it leaves behind. */
import { describe, expect, inject, test } from "vitest";
import { quantilesOf } from "../../../src/cli/latency/quantiles.ts";
import { admin } from "../../support/admin.ts";
import { expectFailure, expectUsageError } from "../../support/cli.ts";
import { cliTopic, run } from "../../support/cli-messages.ts";
import { playHub, type PlayedSocket } from "../../support/played-hub.ts";

const KEPT = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };

describe("latency", () => {
  test("of a topic of its own, which is gone afterwards", async () => {
    const { domain, env } = await cliTopic(KEPT);
    const ADMIN_TOKEN = inject("hub").adminToken ?? "";
    const args = ["latency", domain, "--count", "20", "--rate", "200", "--json"];
    const { code, stdout, stderr } = await run(args, { env: { ...env, ADMIN_TOKEN } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ domain, count: 20, rate: 200 });
    expect(report.topic).toMatch(/^latency-/);
    expect(0 < report.p50_ms && report.p50_ms <= report.p99_ms).toBe(true);
    expect(report.p99_ms <= report.max_ms).toBe(true);
    expect((await admin("GET", `${domain}/topics`)).body["topics"]).toEqual([]);
    const page = await admin(
      "GET",
      `${domain}/topics/${report.topic}/messages`,
      env["WSPUBSUB_KEY"],
    );
    expect(page.body["messages"] ?? []).toEqual([]);
  });

  test("of a topic that is given, whose messages stay", async () => {
    const { domain, topic, env } = await cliTopic();
    const { code, stdout } = await run(["latency", domain, topic, "--count", "3"], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^MESSAGES +P50 +P99 +MAX\n3 +\d+\.\d ms +\d+\.\d ms +\d+\.\d ms\n$/);
    const page = await admin("GET", `${domain}/topics/${topic}/messages`, env["WSPUBSUB_KEY"]);
    expect(page.body["messages"]).toHaveLength(14);
  });

  test("leaves out what warms up, and what others publish", async () => {
    let reader: PlayedSocket | null = null;
    const said: object[] = [];
    const url = await playHub({
      opened: (socket) => {
        if (!socket.url.pathname.startsWith("/ws/sub/")) return;
        reader = socket;
        socket.say({ type: "open", cursor: "a-0", recovered: null });
      },
      heard: (socket, frame) => {
        if (frame["type"] !== "publish") return;
        const { id, messages } = frame;
        said.push({ type: "messages", cursor: "a-1", messages: ["x", messages].flat() });
        socket.say({ type: "ack", id, cursor: "a-1" });
        // All arrive at once, so each took as long as it was sent before the last one.
        if (said.length === 14) for (const each of said) reader?.say(each);
      },
    });
    const args = ["latency", "d", "t", "--count", "3", "--rate", "10", "--json"];
    const { code, stdout } = await run(args, { env: { HUB_URL: url, WSPUBSUB_KEY: "k" } });
    expect(code).toBe(0);
    const { p50_ms, max_ms } = JSON.parse(stdout);
    // Of all thirteen it would be six tenths of a second.
    expect(max_ms - p50_ms).toBeGreaterThan(50);
    expect(max_ms - p50_ms).toBeLessThan(300);
  });

  test("of messages that do not come back cannot be told", async () => {
    const url = await playHub({
      opened: (socket) => {
        if (!socket.url.pathname.startsWith("/ws/sub/")) return;
        socket.say({ type: "open", cursor: "a-0", recovered: null });
      },
      heard: (socket, { id }) => socket.say({ type: "ack", id, cursor: "a-1" }),
    });
    const env = { HUB_URL: url, WSPUBSUB_KEY: "k", WSPUBSUB_LATENCY_LIMIT_MS: "300" };
    const lost = await run(["latency", "d", "t", "--count", "3", "--rate", "1000"], { env });
    expectFailure(lost, "13 of 13 messages did not come back");
  });

  test("of a topic that somebody publishes to cannot be told", async () => {
    const url = await playHub({
      opened: (socket) => {
        if (socket.url.pathname.startsWith("/ws/pub/")) socket.refuse(4409, "publisher-conflict");
      },
    });
    const refused = await run(["latency", "d", "t"], { env: { HUB_URL: url, WSPUBSUB_KEY: "k" } });
    expectFailure(refused, "The hub refused (publisher-conflict)");
  });

  test.each([
    [["--count", "0"], "whole number"],
    [["--rate", "1001"], "from 1 to 1000"],
  ])("%j is wrong usage", async (args, part) => {
    const env = { HUB_URL: "http://127.0.0.1:2" };
    expectUsageError(await run(["latency", "d", ...args], { env }), part);
  });
});

describe("quantiles", () => {
  test("are measurements, by nearest rank", () => {
    expect(quantilesOf([5])).toEqual({ p50: 5, p99: 5, max: 5 });
    expect(quantilesOf([4, 1, 3, 2])).toEqual({ p50: 2, p99: 4, max: 4 });
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect(quantilesOf(hundred)).toEqual({ p50: 50, p99: 99, max: 100 });
    expect(quantilesOf(Array.from({ length: 200 }, (_, n) => n + 1)).p99).toBe(198);
  });
});
