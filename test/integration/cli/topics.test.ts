/**
 * `wspubsub topics`: what the hub answers, shown; and answers that are not a hub's.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { cli, expectFailure, expectUsageError, json, usePostgres } from "../../support/cli.ts";
import { DEAD_HUB, authorized, startFakeHub, type FakeAnswer } from "../../support/fake-hub.ts";

usePostgres();

describe("topics", () => {
  const AS_OF = "2030-01-31T12:00:00.000Z";

  test("list shows a page and what comes after it", async () => {
    const body = {
      domain: "do main",
      as_of: AS_OF,
      topics: [
        { topic: "a", since: AS_OF },
        { topic: "b/c", since: AS_OF },
      ],
      next: "b/c",
    };
    const hub = await startFakeHub({ status: 200, body });
    const args = ["topics", "list", "do main", "--limit", "2", "--after", "ä b"];
    const { code, stdout, stderr } = await cli(args, hub);
    expect(code).toBe(0);
    expect(stdout).toBe(`TOPIC  SINCE\na      ${AS_OF}\nb/c    ${AS_OF}\n`);
    expect(stderr).toBe("There are more: --after=b/c\n");
    expect(await json(["topics", "list", "do main"], hub)).toEqual(body);
    expect(hub.seen).toEqual([
      authorized("GET /v1/domains/do%20main/topics?after=%C3%A4+b&limit=2"),
      authorized("GET /v1/domains/do%20main/topics"),
    ]);
  });

  test("show", async () => {
    const status = { phase: "live", publishers: 1, subscribers: 20, since: AS_OF, as_of: AS_OF };
    const body = { domain: "x", topic: "b/c", ...status };
    const hub = await startFakeHub({ status: 200, body });
    const { stdout } = await cli(["topics", "show", "x", "b/c"], hub);
    expect(stdout.trimEnd().split("\n")).toEqual([
      "TOPIC  PHASE  PUBLISHERS  SUBSCRIBERS  SINCE",
      `b/c    live   1           20           ${AS_OF}`,
    ]);
    expect(await json(["topics", "show", "x", "b/c"], hub)).toEqual(body);
    expect(hub.seen[0]).toEqual(authorized("GET /v1/domains/x/topics/b%2Fc"));
  });

  test("show --sockets", async () => {
    const publisher = {
      role: "publisher",
      protocol: "stream",
      since: AS_OF,
      key: 7,
      subject: null,
      country: "AT",
      bytes_waiting: 0,
      messages_behind: null,
    };
    const subscriber = {
      role: "subscriber",
      protocol: "raw",
      since: null,
      key: null,
      // Whoever signs tokens may write what a terminal would obey.
      subject: "u\u001b[2J\u009b2J\n\u202e9",
      country: null,
      bytes_waiting: 1234,
      messages_behind: 5,
    };
    const status = { phase: "live", publishers: 1, subscribers: 20, as_of: AS_OF };
    const body = { domain: "x", topic: "b/c", ...status, sockets: [publisher, subscriber] };
    const hub = await startFakeHub({ status: 200, body });
    const { code, stdout, stderr } = await cli(["topics", "show", "x", "b/c", "--sockets"], hub);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toEqual([
      "ROLE        PROTOCOL  SINCE                     KEY  SUBJECT                           COUNTRY  WAITING  BEHIND",
      `publisher   stream    ${AS_OF}  7    -                                 AT       0 B      -`,
      "subscriber  raw       -                         -    u\\u{1b}[2J\\u{9b}2J\\u{a}\\u{202e}9  -        1234 B   5",
    ]);
    expect(stderr).toContain("These are 2 of 21 sockets.");
    expect(await json(["topics", "show", "x", "b/c", "--sockets", "--limit", "2"], hub)).toEqual(
      body,
    );
    expect(hub.seen).toEqual([
      authorized("GET /v1/domains/x/topics/b%2Fc/sockets?limit=100"),
      authorized("GET /v1/domains/x/topics/b%2Fc/sockets?limit=2"),
    ]);
  });

  test.each(["it's $(touch /tmp/ran) `id` \\n %d", "-rf", "~", "ä\u202e9\u200b%s\\'1"])(
    "list quotes for the shell what to go on after: %j",
    async (next) => {
      const body = { domain: "x", as_of: AS_OF, topics: [], next };
      const hub = await startFakeHub({ status: 200, body });
      const { stderr } = await cli(["topics", "list", "x"], hub);
      const [, words = ""] = /^There are more: (.*)$/m.exec(stderr) ?? [];
      const { stdout } = await promisify(execFile)("sh", ["-c", `printf '<%s>' ${words}`]);
      expect(stdout).toBe(`<--after=${next}>`);
      expect(stderr).not.toMatch(/[^\n\P{C}]/u);
    },
  );

  test("show says that a topic is not there, with --sockets and as JSON too", async () => {
    const counts = { publishers: 0, subscribers: 0, since: null, as_of: AS_OF };
    const body = { domain: "x", topic: "typo", phase: "vacant", ...counts, sockets: [] };
    const hub = await startFakeHub({ status: 200, body });
    for (const args of [[], ["--json"], ["--sockets"], ["--sockets", "--json"]]) {
      const run = await cli(["topics", "show", "x", "typo", ...args], hub);
      expectFailure(run, 'There is no topic "typo" of "x" now');
    }
  });

  test.each([{ phase: "vacant", subscribers: 1 }, { phase: "grace" }])(
    "show shows one that has somebody, or may have again: %j",
    async (status) => {
      const counts = { publishers: 0, subscribers: 0, since: null, as_of: AS_OF };
      const body = { domain: "x", topic: "y", ...counts, ...status, sockets: [] };
      const hub = await startFakeHub({ status: 200, body });
      expect((await cli(["topics", "show", "x", "y"], hub)).stdout).toContain(status.phase);
      const sockets = await cli(["topics", "show", "x", "y", "--sockets"], hub);
      expect(sockets).toMatchObject({ code: 0 });
    },
  );

  test("end", async () => {
    const body = { domain: "x", topic: "b/c", ended: true };
    const hub = await startFakeHub({ status: 200, body });
    const { stdout } = await cli(["topics", "end", "x", "b/c"], hub);
    expect(stdout).toBe('Ended "b/c" of "x".\n');
    expect(await json(["topics", "end", "x", "b/c"], hub)).toEqual(body);
    expect(hub.seen[0]).toEqual(authorized("DELETE /v1/domains/x/topics/b%2Fc"));
  });

  test.each([
    [0, 'Forgot no message of "b/c" of "x".\n'],
    [1, 'Forgot 1 message of "b/c" of "x".\n'],
    [20, 'Forgot 20 messages of "b/c" of "x".\n'],
  ])("forget: %i", async (messages, told) => {
    const body = { domain: "x", topic: "b/c", messages };
    const hub = await startFakeHub({ status: 200, body });
    const { code, stdout } = await cli(["topics", "forget", "x", "b/c"], hub);
    expect([code, stdout]).toEqual([0, told]);
    expect(await json(["topics", "forget", "x", "b/c"], hub)).toEqual(body);
    expect(hub.seen[0]).toEqual(authorized("DELETE /v1/domains/x/topics/b%2Fc/messages"));
  });

  test.each([
    [404, "Nothing is here"],
    [405, "This method is not allowed here"],
  ])("forget of a hub that cannot: %i", async (status, title) => {
    const hub = await startFakeHub({ status, body: { title } });
    expectFailure(await cli(["topics", "forget", "x", "y"], hub), "a version before");
  });

  test("show --sockets of a hub that cannot", async () => {
    const hub = await startFakeHub({ status: 404, body: { title: "Nothing is here" } });
    expectFailure(await cli(["topics", "show", "x", "y", "--sockets"], hub), "a version before");
  });

  test.each([
    [
      { status: 404, body: { title: "Not Found", detail: "No such thing" } },
      "Not Found. No such thing",
    ],
    [{ status: 503, body: { title: "Unavailable" } }, "(503): Unavailable"],
    [
      { status: 503, body: { title: "a\u001b[2J\nb", detail: "\u2028\u009b\ud800" } },
      "a\\u{1b}[2J\\u{a}b. \\u{2028}\\u{9b}\\u{d800}\n",
    ],
    [{ status: 200, body: "<html>" }, "check HUB_URL"],
    [{ status: 200, body: { topics: [] } }, "check HUB_URL"],
    [{ status: 502, body: "Bad Gateway" }, "check HUB_URL"],
    [{ status: 302, body: "", headers: { Location: "http://127.0.0.1:1/" } }, "check HUB_URL"],
  ] satisfies [FakeAnswer, string][])("fail on the answer %j", async (answer, part) => {
    const hub = await startFakeHub(answer);
    expectFailure(await cli(["topics", "list", "x"], hub), part);
  });

  test("fail without a hub", async () => {
    expectFailure(await cli(["topics", "list", "x"]), "HUB_URL and ADMIN_TOKEN are not set");
    expectFailure(await cli(["topics", "show", "x", "y"], { env: DEAD_HUB }), "ECONNREFUSED");
  });

  test.each([
    [["list", "x", "--limit", "0"], "whole number"],
    [["list", "x", "--after", ".."], "The topic must not be"],
    [["show", "x", ""], "The topic is empty"],
    [["show", "x"], "topic"],
    [["show", "x", "y", "--sockets", "--limit", "1001"], "whole number"],
    [["show", "x", "y", "--limit", "5"], "--sockets"],
  ])("refuse %j", async (args, part) => {
    expectUsageError(await cli(["topics", ...args]), part);
  });
});
