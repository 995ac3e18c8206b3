/** PROTOCOL.md, 15.8: who may see who is connected, and what is shown. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { objectName } from "../../../src/core/address.ts";
import { createApp } from "../../../src/edge/app.ts";
import { open, publisher, subscriber } from "../support/sockets.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";

describe("15.8 GET …/topics/{Topic}/sockets", () => {
  let postgres: FakePostgres;
  let topic: string;

  beforeEach(() => {
    postgres = new FakePostgres();
    postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
    topic = crypto.randomUUID();
  });

  async function list(
    query = "",
    token: string | null = ADMIN_TOKEN,
    bindings: object = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const headers = new Headers({ "CF-Connecting-IP": crypto.randomUUID() });
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    const response = await createApp().fetch(
      new Request(`https://hub.test/v1/domains/acme/topics/${topic}/sockets${query}`, { headers }),
      { ...postgres.env(env), ADMIN_TOKEN, ...bindings },
      createExecutionContext(),
    );
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  }

  test("shows them, and how many there are besides", async () => {
    const stub = env.TOPIC.getByName(objectName({ domain: "acme", topic }));
    const grant = { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: Date.now() };
    await open(stub, publisher({}, { grant, country: "AT" }));
    await open(stub, subscriber(null, { protocol: "stream" }));
    await open(stub, subscriber());
    const { status, body } = await list("?limit=2");
    expect(status).toBe(200);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(body).toEqual({
      domain: "acme",
      topic,
      phase: "live",
      publishers: 1,
      subscribers: 2,
      as_of: time,
      sockets: [
        {
          role: "publisher",
          protocol: "raw",
          since: time,
          key: 7,
          subject: null,
          country: "AT",
          bytes_waiting: 0,
          messages_behind: null,
        },
        {
          role: "subscriber",
          protocol: "stream",
          since: time,
          key: null,
          subject: null,
          country: null,
          bytes_waiting: 0,
          messages_behind: null,
        },
      ],
    });
  });

  test("a vacant topic has none", async () => {
    expect((await list()).body).toMatchObject({ phase: "vacant", subscribers: 0, sockets: [] });
  });

  test.each([
    [null, "key-required"],
    ["wrong", "key-rejected"],
    // That of the domain itself opens 15.2 and 15.3, and not this.
    ["key", "key-rejected"],
  ])("is the admin's alone: %s is %s", async (token, slug) => {
    expect(await list("", token)).toMatchObject({
      status: 401,
      body: { type: `urn:wspubsub:problem:${slug}` },
    });
  });

  test.each(["0", "1001", "-1", "1e2", "", "x"])("refuses a limit of %j", async (limit) => {
    expect(await list(`?limit=${limit}`)).toMatchObject({
      status: 400,
      body: { type: "urn:wspubsub:problem:invalid-parameter" },
    });
  });

  test("a topic of the version before cannot say, which passes", async () => {
    const before = {
      describe: () => Promise.resolve({ phase: "live", publishers: 1, subscribers: 0 }),
      sockets: () =>
        Promise.reject(new TypeError('The RPC receiver does not implement the method "sockets".')),
    };
    expect(await list("", ADMIN_TOKEN, { TOPIC: { getByName: () => before } })).toMatchObject({
      status: 503,
      body: { type: "urn:wspubsub:problem:topic-unavailable" },
    });
  });
});
