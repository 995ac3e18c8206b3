/** PROTOCOL.md, 2.1 to 2.4 under /v1: a name in a path is decoded once and strictly, whatever the router makes of it. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/edge/app.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";

interface Answered {
  readonly status: number;
  readonly body: unknown;
}

async function call(method: string, path: string): Promise<Answered> {
  const headers = {
    "CF-Connecting-IP": crypto.randomUUID(),
    Authorization: `Bearer ${ADMIN_TOKEN}`,
  };
  const postgres = new FakePostgres();
  postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
  const response = await createApp().fetch(
    new Request(`https://hub.test${path}`, { method, headers }),
    { ...postgres.env(env), ADMIN_TOKEN },
    createExecutionContext(),
  );
  return { status: response.status, body: await response.json() };
}

function invalid(detail: string): object {
  return { status: 400, body: { type: "urn:wspubsub:problem:invalid-address", detail } };
}

describe("names in paths under /v1", () => {
  test.each([
    ["a%2Fb", "a/b"],
    ["a%2fb", "a/b"],
    ["a%252Fb", "a%2Fb"],
    ["a%2525b", "a%25b"],
    ["100%25", "100%"],
    ["%C3%A4%20b", "ä b"],
    ["%3Fa%23b%3B", "?a#b;"],
    ["a+b", "a+b"],
    ["%61", "a"],
    ["ä", "ä"],
  ])("%s is %s", async (written, name) => {
    const id = crypto.randomUUID().slice(0, 8);
    expect(await call("GET", `/v1/domains/${id}${written}/topics`)).toMatchObject({
      status: 200,
      body: { domain: id + name },
    });
    expect(await call("GET", `/v1/domains/${id}${written}/topics/${written}${id}`)).toMatchObject({
      status: 200,
      body: { domain: id + name, topic: name + id },
    });
  });

  test.each(["100%", "%ZZ", "%E0%A4%A", "%C3%28", "a%2", "%25%"])(
    "%s is none, and neither overlooked nor mended",
    async (written) => {
      const paths = [`${written}/topics`, `${written}/topics/x`, `${written}/topics/x/sockets`];
      for (const path of paths) {
        expect(await call("GET", `/v1/domains/${path}`)).toMatchObject(
          invalid("The domain is not valid percent-encoded UTF-8"),
        );
      }
      for (const end of ["", "/sockets"]) {
        expect(await call("GET", `/v1/domains/x/topics/${written}${end}`)).toMatchObject(
          invalid("The topic is not valid percent-encoded UTF-8"),
        );
      }
      for (const [method, path] of [
        ["POST", `${written}/sync`],
        ["POST", `${written}/keys/7/sync`],
        ["DELETE", `${written}/keys/7`],
        ["POST", `${written}/topics/x/tickets`],
      ] as const) {
        expect(await call(method, `/v1/domains/${path}`)).toMatchObject(
          invalid("The domain is not valid percent-encoded UTF-8"),
        );
      }
    },
  );

  test.each(["%37", "07", "7%20", "2147483648", "x", "%ZZ"])(
    "a key has no number %s",
    async (id) => {
      const answer = invalid("The key's number is not one");
      expect(await call("POST", `/v1/domains/acme/keys/${id}/sync`)).toMatchObject(answer);
      expect(await call("DELETE", `/v1/domains/acme/keys/${id}`)).toMatchObject(answer);
    },
  );

  test("what is written in another way than it need be finds its route, and the names are the same", async () => {
    const id = crypto.randomUUID();
    expect(await call("GET", `/%761/%64omains/${id}/topic%73/a%252Fb`)).toMatchObject({
      status: 200,
      body: { domain: id, topic: "a%2Fb" },
    });
  });

  test.each(["/v1/domains//topics", "/v1/domains/x/topics/", "/v1%2Fdomains/x/topics"])(
    "%s is nowhere",
    async (path) => {
      expect(await call("GET", path)).toMatchObject({ status: 404 });
    },
  );
});
