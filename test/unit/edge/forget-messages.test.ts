/** PROTOCOL.md, 15.11 on the edge: who may have messages forgotten, and that no page of elsewhere may ask for it. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createApp } from "../../../src/edge/app.ts";
import { post } from "../support/posts.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";
const PAGE = { Origin: "https://page.example" };

interface Asked {
  readonly method?: string;
  readonly end?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bindings?: object;
}

function expectNoPageReads({ headers }: Response): void {
  expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
}

describe("15.11 DELETE …/topics/{Topic}/messages", () => {
  const topic = "topic";
  let postgres: FakePostgres;
  /** Refusals are counted by domain, in all files of a run together. */
  let domain: string;

  beforeEach(() => {
    postgres = new FakePostgres();
    domain = crypto.randomUUID();
    postgres.addKey({ keyId: 1, text: "key", domain });
  });

  async function ask({
    method = "DELETE",
    end = "/messages",
    token = ADMIN_TOKEN,
    headers = {},
    bindings = {},
  }: Asked = {}): Promise<Response> {
    const sent = new Headers({ "CF-Connecting-IP": crypto.randomUUID(), ...headers });
    if (token !== null) sent.set("Authorization", `Bearer ${token}`);
    return createApp().fetch(
      new Request(`https://hub.test/v1/domains/${domain}/topics/${topic}${end}`, {
        method,
        headers: sent,
      }),
      { ...postgres.env(env), ADMIN_TOKEN, ...bindings },
      createExecutionContext(),
    );
  }

  test("says how many, and is done as often as it is asked", async () => {
    const policy = { historySeconds: 60, historyDelayMs: 0 };
    await post(env.TOPIC.getByName(`${domain}/${topic}`), policy, { messages: ["a", "b"] });
    for (const messages of [2, 0]) {
      const response = await ask({ headers: PAGE });
      expect(response.status).toBe(200);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expectNoPageReads(response);
      expect(await response.json()).toEqual({ domain, topic, messages });
    }
  });

  test.each([
    [null, "key-required"],
    ["key", "key-rejected"],
    ["another", "key-rejected"],
    ["e30.e30.e30", "key-rejected"],
  ])("is the operator's alone: %s", async (token, slug) => {
    const never = { getByName: () => ({}) };
    const response = await ask({ token, headers: PAGE, bindings: { TOPIC: never } });
    expect(response.status).toBe(401);
    expectNoPageReads(response);
    expect(await response.json()).toMatchObject({ type: `urn:wspubsub:problem:${slug}` });
  });

  test("a topic of the version before cannot, which passes", async () => {
    const lacks = new TypeError('The RPC receiver does not implement the method "forgetMessages".');
    const before = { forgetMessages: () => Promise.reject(lacks) };
    const response = await ask({ bindings: { TOPIC: { getByName: () => before } } });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      type: "urn:wspubsub:problem:topic-unavailable",
      detail: expect.stringContaining("being updated"),
    });
  });

  test("any other failure is one", async () => {
    const fails = { forgetMessages: () => Promise.reject(new Error("A fault in messages")) };
    const response = await ask({ headers: PAGE, bindings: { TOPIC: { getByName: () => fails } } });
    expect(response.status).toBe(500);
    expectNoPageReads(response);
  });

  test("no preflight allows it, nor that a topic is ended", async () => {
    const headers = { ...PAGE, "Access-Control-Request-Method": "DELETE" };
    const preflight = await ask({ method: "OPTIONS", token: null, headers });
    expect(preflight.headers.get("Access-Control-Allow-Methods")).toBe("GET, HEAD, POST");
    expectNoPageReads(await ask({ method: "OPTIONS", end: "", token: null, headers }));
    for (const token of [null, "key", ADMIN_TOKEN]) {
      expectNoPageReads(await ask({ end: "", token, headers: PAGE }));
    }
  });
});

describe("17.1 18.1 a failure of the hub's own", () => {
  test.each([
    ["GET", new Error("A fault in messages"), 500],
    ["POST", new Error("A fault in messages"), 500],
    ["POST", Object.assign(new Error("Overloaded by messages"), { overloaded: true }), 503],
  ])("can be read by a page of elsewhere: %s, %s", async (method, error, status) => {
    const postgres = new FakePostgres();
    const domain = crypto.randomUUID();
    postgres.addKey({ keyId: 1, text: "key", domain });
    const fail = (): Promise<never> => Promise.reject(error);
    const response = await createApp().fetch(
      new Request(`https://hub.test/v1/domains/${domain}/topics/topic/messages`, {
        method,
        headers: { ...PAGE, "CF-Connecting-IP": crypto.randomUUID(), Authorization: "Bearer key" },
        ...(method === "POST" && { body: "text" }),
      }),
      { ...postgres.env(env), TOPIC: { getByName: () => ({ page: fail, publish: fail }) } },
      createExecutionContext(),
    );
    expect(response.status).toBe(status);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Vary")).toBe(method === "GET" ? "Accept" : null);
  });
});
