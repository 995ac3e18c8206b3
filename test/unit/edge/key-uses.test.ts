/** When keys were last used: noted beside what is answered, seldom, and without harm where that cannot be. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { KeyDesk } from "../../../src/edge/key-desk.ts";
import type { Noted } from "../../../src/edge/key-store.ts";
import { KeyUses } from "../../../src/edge/key-uses.ts";
import { upgrade } from "../../../src/edge/upgrade.ts";
import { FakePostgres } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedTopic } from "./support/scripted-objects.ts";

const NOON = Date.UTC(2027, 0, 1, 12);
const HOUR_MS = 3_600_000;
const DONE: Noted = { type: "done" };
const FAILED: Noted = { type: "unavailable", reason: "Postgres error 42703" };

function spyOnLog() {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => log.mockRestore());
  return log;
}

describe("KeyUses", () => {
  const noteUses = vi.fn<(keyIds: readonly number[]) => Promise<Noted>>();
  let uses: KeyUses;
  let work: Promise<unknown>[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: NOON });
    noteUses.mockReset().mockResolvedValue(DONE);
    uses = new KeyUses({ noteUses });
    work = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function note(...keyIds: number[]): void {
    uses.note(keyIds, (promise) => void work.push(promise));
  }

  async function noted(...keyIds: number[]): Promise<void> {
    note(...keyIds);
    await Promise.all(work.splice(0));
  }

  /** The next query waits; returns what ends it. */
  function hold(): (noted: Noted) => void {
    const { promise, resolve } = Promise.withResolvers<Noted>();
    noteUses.mockReturnValueOnce(promise);
    return resolve;
  }

  test("notes a key once a day", async () => {
    await noted(1);
    await noted(1);
    vi.setSystemTime(Date.UTC(2027, 0, 1, 23, 59, 59, 999));
    await noted(1, 2);
    expect(noteUses.mock.calls).toEqual([[[1]], [[2]]]);
    vi.setSystemTime(Date.UTC(2027, 0, 2));
    await noted(1);
    await noted(2);
    expect(noteUses.mock.calls).toEqual([[[1]], [[2]], [[1]], [[2]]]);
  });

  test("asks nothing for no keys", async () => {
    await noted();
    expect([noteUses.mock.calls, work]).toEqual([[], []]);
  });

  test("what comes while a query is under way goes with the next one", async () => {
    const end = hold();
    note(1);
    note(2, 3);
    note(3, 4);
    expect(work).toHaveLength(1);
    end(DONE);
    await Promise.all(work);
    expect(noteUses.mock.calls).toEqual([[[1]], [[2, 3, 4]]]);
  });

  test("a request makes so many queries, and the next one goes on", async () => {
    let next = 1;
    noteUses.mockImplementation(() => {
      next += 1;
      note(next);
      return Promise.resolve(DONE);
    });
    await noted(1);
    expect(noteUses.mock.calls).toEqual([[[1]], [[2]], [[3]], [[4]], [[5]]]);
    noteUses.mockResolvedValue(DONE);
    await noted(1);
    expect(noteUses.mock.calls.slice(5)).toEqual([[[6]]]);
  });

  test("a request that was cut off stops nobody for long", async () => {
    hold();
    note(1);
    vi.setSystemTime(NOON + 9_999);
    note(2);
    expect(noteUses.mock.calls).toEqual([[[1]]]);
    vi.setSystemTime(NOON + 10_000);
    note(3);
    expect(noteUses.mock.calls).toEqual([[[1]], [[2, 3]]]);
  });

  test("a store that takes no notes is left alone for an hour, which is said once", async () => {
    const log = spyOnLog();
    const end = hold();
    note(1);
    note(2);
    end(FAILED);
    await Promise.all(work);
    await noted(3);
    vi.setSystemTime(NOON + HOUR_MS - 1);
    await noted(1);
    expect(noteUses.mock.calls).toEqual([[[1]]]);
    vi.setSystemTime(NOON + HOUR_MS);
    noteUses.mockResolvedValueOnce(FAILED);
    await noted(1, 2);
    vi.setSystemTime(NOON + 2 * HOUR_MS);
    await noted(1, 2);
    expect(noteUses.mock.calls).toEqual([[[1]], [[1, 2]], [[1, 2]]]);
    expect(log.mock.calls).toEqual([
      [
        JSON.stringify({
          level: "error",
          event: "key-uses-not-noted",
          reason: "Postgres error 42703",
        }),
      ],
    ]);
  });
});

describe("a key is used", () => {
  let postgres: FakePostgres;

  beforeEach(() => {
    postgres = new FakePostgres();
    postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
  });

  async function connect(path: string): Promise<number> {
    const ctx = createExecutionContext();
    const request = new Request(`https://hub.test${path}`, {
      headers: {
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "CF-Connecting-IP": crypto.randomUUID(),
      },
    });
    const objects = {
      TOPIC: new ScriptedTopic("admitted").namespace,
      DOMAIN: new ScriptedDomain({ reportDeadKey: undefined }).namespace,
    };
    const { status } = await upgrade(request, { ...postgres.env(env), ...objects }, ctx);
    await waitOnExecutionContext(ctx);
    return status;
  }

  test("by whoever connects with it, also out of the cache", async () => {
    expect(await connect("/ws/pub/key/acme/news")).toBe(101);
    expect(await connect("/ws/pub/key/acme/other")).toBe(101);
    expect([postgres.asked, postgres.uses]).toEqual([["check-key"], ["{7}"]]);
  });

  test("not where it opens nothing, or stands in a path that must have none", async () => {
    expect(await connect("/ws/pub/other/acme/news")).toBe(401);
    postgres.domains.set("acme", { pathKeys: false });
    expect(await connect("/ws/pub/key/acme/news")).toBe(403);
    expect(await connect("/ws/sub/acme/news")).toBe(101);
    expect(postgres.uses).toEqual([]);
  });

  test("and nobody waits for that, nor fails where it cannot be noted", async () => {
    const log = spyOnLog();
    postgres.takesNotes = false;
    expect(await connect("/ws/pub/key/acme/news")).toBe(101);
    expect(await connect("/ws/pub/key/acme/news")).toBe(101);
    expect(postgres.uses).toEqual(["{7}"]);
    expect(log.mock.calls).toEqual([[expect.stringContaining('"key-uses-not-noted"')]]);
  });

  test("the connect is over before the note is", async () => {
    const ctx = createExecutionContext();
    const { promise: isAnswered, resolve } = Promise.withResolvers<void>();
    postgres.delay = () => (postgres.uses.length === 0 ? Promise.resolve() : isAnswered);
    const response = await upgrade(
      new Request("https://hub.test/ws/pub/key/acme/news", {
        headers: { Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
      }),
      { ...postgres.env(env), TOPIC: new ScriptedTopic("admitted").namespace },
      ctx,
    );
    expect([response.status, postgres.uses]).toEqual([101, ["{7}"]]);
    resolve();
    await waitOnExecutionContext(ctx);
  });

  test("by whoever sends where somebody is connected with it, while it is live", async () => {
    postgres.addKey({ keyId: 8, text: "off", domain: "acme" }).state = "inactive";
    const ctx = createExecutionContext();
    const DOMAIN = new ScriptedDomain({ reportDeadKey: undefined }).namespace;
    const desk = new KeyDesk(ctx, { ...postgres.env(env), DOMAIN });
    await desk.lookUp("acme", [7, 8, 9], null);
    await waitOnExecutionContext(ctx);
    expect(postgres.uses).toEqual(["{7}"]);
  });
});
