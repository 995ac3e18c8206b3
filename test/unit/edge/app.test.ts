/** PROTOCOL.md, sections 1 and 4: what the edge refuses before any database or object is touched. */
import { createExecutionContext, listDurableObjectIds } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { PROBLEMS } from "../../../src/core/problem.ts";
import { createApp } from "../../../src/edge/app.ts";

const HANDSHAKE = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const SUB = "https://hub.test/ws/sub/domain/topic";

function get(url: string, headers: Record<string, string> = HANDSHAKE): Promise<Response> {
  return exports.default.fetch(url, { headers });
}

async function expectProblem(response: Response, status: number, slug: string): Promise<string> {
  expect(response.status).toBe(status);
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  const problem = await response.json<Record<string, unknown>>();
  expect(problem).toEqual({
    type: `urn:wspubsub:problem:${slug}`,
    title: expect.any(String),
    status,
    detail: expect.any(String),
  });
  return String(problem["detail"]);
}

describe("the handshake", () => {
  test("4.1 a refusal is a problem of RFC 9457, and never cached", async () => {
    await expectProblem(await get("https://hub.test/"), 404, "not-found");
  });

  test.each([
    "/",
    "/ws",
    "/ws/",
    "/ws/sub",
    "/ws/sub/d",
    "/ws/sub/d/t/x",
    "/ws/pub/d",
    "/ws/pub/k/d/t/x",
    "/ws/who/d/t",
  ])("1.2 %s is nowhere", async (path) => {
    await expectProblem(await get(`https://hub.test${path}`), 404, "not-found");
  });

  test.each([
    ["/ws/sub/example/users/7/x", "/ws/sub/Domain/users%2F7%2Fx"],
    ["/ws/sub/example/users%2f7/x?since=5m", "/ws/sub/Domain/users%2f7%2Fx"],
    ["/ws/sub/example//x", "/ws/sub/Domain/%2Fx"],
    ["/ws/sub/secret/domain/topic", "/ws/sub/Domain/domain%2Ftopic"],
    [`/ws/sub/example/a/${"x".repeat(252)}`, `/ws/sub/Domain/a%2F${"x".repeat(252)}`],
    [`/ws/sub/example/a/${"x".repeat(253)}`, "/ws/sub/Domain/part%2Fpart"],
    ["/ws/sub/example/a/%00", "/ws/sub/Domain/part%2Fpart"],
    ["/ws/pub/secret/example/users/7", "/ws/pub/Domain/part%2Fpart"],
    ["/ws/pub/example/users/7/secret", "/ws/pub/Domain/part%2Fpart"],
    ["/v1/domains/example/topics/users/7/x", "/v1/domains/Domain/topics/users%2F7%2Fx"],
    ["/v1/domains/example/topics/users/7/sockets", "/v1/domains/Domain/topics/users%2F7/sockets"],
    ["/v1/domains/example/topics/users/7/tickets", "/v1/domains/Domain/topics/users%2F7/tickets"],
  ])("1.2 says how a topic with a slash is written: %s", async (path, right) => {
    const detail = await expectProblem(await get(`https://hub.test${path}`), 404, "not-found");
    expect(detail).toMatch(/\. A slash within a name is written %2F: [^ ]+$/);
    expect(detail.split(" ").at(-1)).toBe(right);
    expect(detail).not.toMatch(/example|secret/);
  });

  test.each([
    ["/ws/sub/example/topic/", "/ws/sub/Domain/Topic, without a slash at the end"],
    ["/ws/pub/secret/example/topic/", "/ws/sub/Domain/Topic, without a slash at the end"],
    ["/v1/domains/example/topics/topic/", "/topics/Topic, without a slash at the end"],
    ["/ws/subscribe/example/a/b", "/ws/sub/Domain/Topic"],
    ["/ws/sub/example", "/ws/sub/Domain/Topic"],
    ["/v1/domains/example/topics/topic/nowhere/sockets/", ", without a slash at the end"],
    ["/v1/domains/example/keys/secret/sync/sync", "/v1/domains/Domain/topics/Topic"],
    ["/v1/domains/exam/ple/topics", "/v1/domains/Domain/topics/Topic"],
    ["/v1/nowhere", "/ws/sub/Domain/Topic"],
  ])("1.2 names the routes, and nothing of the path: %s", async (path, end) => {
    const detail = await expectProblem(await get(`https://hub.test${path}`), 404, "not-found");
    expect(detail.slice(-end.length)).toBe(end);
    expect(detail).not.toMatch(/%2F|exam|secret/);
  });

  test("1.2 a topic in one segment needs no such advice, where the method is wrong", async () => {
    for (const end of ["", "/sockets"]) {
      const url = `https://hub.test/v1/domains/example/topics/topic${end}`;
      const response = await exports.default.fetch(url, { method: "PUT" });
      expect(await expectProblem(response, 404, "not-found")).not.toContain("slash");
    }
  });

  test.each(["POST", "PUT", "HEAD", "OPTIONS"])("1.3 refuses %s and allows GET", async (method) => {
    // With an Upgrade header the runtime would make it a GET.
    const response = await exports.default.fetch(SUB, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe("GET");
  });

  test("1.4 asks for the upgrade", async () => {
    for (const Upgrade of ["", "h2c", "websockets", "h2c, websocket", "websocket, websocket"]) {
      const response = await get(SUB, { ...HANDSHAKE, Upgrade });
      expect(response.headers.get("Upgrade")).toBe("websocket");
      await expectProblem(response, 426, "upgrade-required");
    }
  });

  test("1.5 asks for version 13", async () => {
    for (const version of ["8", "", "13, 8"]) {
      const response = await get(SUB, { ...HANDSHAKE, "Sec-WebSocket-Version": version });
      expect(response.headers.get("Sec-WebSocket-Version")).toBe("13");
      await expectProblem(response, 400, "unsupported-websocket-version");
    }
  });

  test("1.6 checks in this order: path, method, upgrade, version, address, parameters, key", async () => {
    const url = "https://hub.test/ws/pub//%00/%00?takeover=maybe";
    const post = await exports.default.fetch(url, { method: "POST" });
    await expectProblem(post, 405, "method-not-allowed");
    await expectProblem(await get(url, {}), 426, "upgrade-required");
    await expectProblem(
      await get(url, { Upgrade: "WebSocket" }),
      400,
      "unsupported-websocket-version",
    );
    expect(await expectProblem(await get(url), 400, "invalid-address")).toContain("domain");
    const noKey = "https://hub.test/ws/pub//d/t";
    await expectProblem(await get(`${noKey}?takeover=maybe`), 400, "invalid-parameter");
    await expectProblem(await get(noKey), 401, "key-required");
    await expectProblem(await get("https://hub.test/ws/pub/d/t"), 401, "key-required");
  });

  test("3.2 names the parameter that is wrong, and never repeats it", async () => {
    for (const [query, name] of [
      ["since=yesterday", '"since"'],
      ["gap=maybe", '"gap"'],
      ["explain=maybe", '"explain"'],
    ] as const) {
      const detail = await expectProblem(await get(`${SUB}?${query}`), 400, "invalid-parameter");
      expect(detail).toContain(name);
      expect(detail).not.toMatch(/yesterday|maybe/);
    }
  });

  test.each(["token", "access_token", "jwt", "apikey", "api_key", "authorization"])(
    "3.1 ?%s= is refused with the right way, for either role, and never repeated",
    async (name) => {
      for (const url of [SUB, "https://hub.test/ws/pub/key/domain/topic"]) {
        const response = await get(`${url}?since=5m&${name}=eyJ-a-secret`);
        const detail = await expectProblem(response, 400, "invalid-parameter");
        expect(detail).toContain(`"${name}"`);
        expect(detail).toContain("Authorization: Bearer");
        expect(detail).toContain("ticket");
        expect(detail).not.toContain("secret");
      }
    },
  );

  test.each([
    ["/ws/sub//t", "domain is empty"],
    ["/ws/sub/d/", "topic is empty"],
    ["/ws/sub/%FF/t", "domain is not valid"],
    ["/ws/sub/d/%", "topic is not valid"],
    ["/ws/sub/d/a%0Ab", "topic contains a control character"],
    ["/ws/pub/%E0%A4%A/d/t", "API key is not valid"],
    ["/ws/pub/a%00b/d/t", "API key contains a control character"],
    [`/ws/pub/${"k".repeat(257)}/d/t`, "API key has more than 256 characters"],
  ])("1.7 names the part at fault: %s", async (path, words) => {
    const response = await get(`https://hub.test${path}`);
    expect(await expectProblem(response, 400, "invalid-address")).toContain(words);
  });

  test("4.3 a key store that cannot be reached is unavailable, never a refusal", async () => {
    for (const path of ["/ws/pub/key/domain/topic", "/ws/sub/domain/vacant"]) {
      const response = await get(`https://hub.test${path}`);
      expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
      const detail = await expectProblem(response, 503, "key-store-unavailable");
      expect(detail).toContain("DATABASE_URL is missing");
    }
  });

  test("4.4 a header of the client's never reaches the object", async () => {
    const policy = { publishers: "shared" };
    const response = await get(SUB, {
      ...HANDSHAKE,
      "wspubsub-admission": JSON.stringify({ v: 1, role: "subscriber", policy }),
    });
    await expectProblem(response, 503, "key-store-unavailable");
  });
});

describe("credentials", () => {
  const CREDENTIAL = "base64url.bearer.authorization.wspubsub.";
  const PUB = "https://hub.test/ws/pub/domain/topic";

  test.each([
    ["an empty token", { Authorization: "Bearer" }],
    ["a tab", { Authorization: "Bearer\tkey" }],
    ["a colon", { Authorization: "Bearer: key" }],
    ["two tokens", { Authorization: "Bearer a b" }],
    ["a token that is too long", { Authorization: `Bearer ${"k".repeat(257)}` }],
    ["no base64url", { "Sec-WebSocket-Protocol": `wspubsub.v1, ${CREDENTIAL}a+b` }],
    ["no UTF-8", { "Sec-WebSocket-Protocol": `${CREDENTIAL}_w` }],
    ["nothing", { "Sec-WebSocket-Protocol": CREDENTIAL }],
    ["a control character", { "Sec-WebSocket-Protocol": `${CREDENTIAL}YQBi` }],
    ["two keys", { "Sec-WebSocket-Protocol": `${CREDENTIAL}YQ, ${CREDENTIAL}Yg` }],
  ])("12.2 %s is a key that is rejected, for either role, never overlooked", async (_, headers) => {
    const answers = new Set<string>();
    for (const url of [PUB, SUB, "https://hub.test/ws/pub/key/domain/topic"]) {
      const response = await get(url, { ...HANDSHAKE, ...headers });
      expect(response.status).toBe(401);
      answers.add(await response.text());
    }
    expect([...answers]).toEqual([expect.stringContaining("urn:wspubsub:problem:key-rejected")]);
  });

  test("12.1 a key in a header or in a subprotocol is as good as one in the path", async () => {
    for (const headers of [
      { Authorization: "bearer key" },
      { "Sec-WebSocket-Protocol": `${CREDENTIAL}a2V5` },
      { "Sec-WebSocket-Protocol": `wspubsub.raw, ${CREDENTIAL}a2V5` },
    ]) {
      const response = await get(PUB, { ...HANDSHAKE, ...headers });
      await expectProblem(response, 503, "key-store-unavailable");
    }
  });

  test("12.1 a header of another scheme is nobody's key", async () => {
    for (const Authorization of [
      "Basic dXNlcjpwYXNz",
      "Bearer-Foo key",
      "bearer.v2 key",
      "Bearer_ key",
      "BearerToken",
      "Bearer~",
    ]) {
      const headers = { ...HANDSHAKE, Authorization };
      await expectProblem(await get(PUB, headers), 401, "key-required");
      const inPath = await get("https://hub.test/ws/pub/key/domain/topic", headers);
      await expectProblem(inPath, 503, "key-store-unavailable");
    }
  });
});

interface Explained {
  readonly frames: readonly unknown[];
  readonly code: number;
  readonly reason: string;
}

/** The hub's environment, but for topics of which each connect fails. */
function withFailingTopics(error: Error): Env {
  const fetch = (): never => {
    throw error;
  };
  return { ...env, TOPIC: { getByName: () => ({ fetch }) } as unknown as Env["TOPIC"] };
}

function explanationOf(response: Response): Promise<Explained> {
  expect(response.status).toBe(101);
  const socket = response.webSocket;
  if (!socket) throw new Error("There is no socket");
  const frames: unknown[] = [];
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => void frames.push(JSON.parse(String(data))));
    socket.addEventListener("close", ({ code, reason }) => resolve({ frames, code, reason }));
    socket.accept();
  });
}

describe("?explain=1", () => {
  test.each([
    ["/ws/sub/d/%", 4500, "invalid-address"],
    ["/ws/pub/d/t", 4501, "key-required"],
    ["/ws/pub/key/d/t", 4453, "key-store-unavailable"],
    ["/ws/nowhere", 4504, "not-found"],
    ["//ws/sub/d/t", 4504, "not-found"],
    ["/", 4504, "not-found"],
    ["/WS/sub/d/t", 4504, "not-found"],
    ["/v1/nowhere", 4504, "not-found"],
    ["/ws/sub/d/t?since=never&x=1", 4500, "invalid-parameter"],
    ["/ws/sub/d/t?token=x", 4500, "invalid-parameter"],
  ])("4.6 closes with code and slug: %s", async (path, code, reason) => {
    const url = `https://hub.test${path}${path.includes("?") ? "&" : "?"}explain=1`;
    expect(await explanationOf(await get(url))).toEqual({ frames: [], code, reason });
  });

  test.each([
    ["/ws/sub/d/t?since=never&explain=1", {}, 4500, "invalid-parameter"],
    ["//ws/sub/d/t?explain=1", {}, 4504, "not-found"],
    ["/ws/sub/d/vacant?explain=1", { retryAfter: 5 }, 4453, "key-store-unavailable"],
  ])("4.7 a stream is told the problem before: %s", async (path, retryAfter, code, slug) => {
    const stream = { ...HANDSHAKE, "Sec-WebSocket-Protocol": "wspubsub.v1, wspubsub.raw" };
    const url = `https://hub.test${path}`;
    const problem = await (await get(url.replace("explain=1", "explain=0"))).json<object>();
    expect(problem).toMatchObject({ type: `urn:wspubsub:problem:${slug}` });
    expect(await explanationOf(await get(url, stream))).toEqual({
      frames: [{ type: "error", id: null, problem: { ...problem, ...retryAfter } }],
      code,
      reason: slug,
    });
  });

  test("4.6 of a failure of the hub's own, too", async () => {
    const overloaded = Object.assign(new Error("Durable Object is overloaded"), {
      overloaded: true,
    });
    for (const [error, code, reason] of [
      [new Error("A fault"), 4450, "internal"],
      [overloaded, 4453, "topic-unavailable"],
    ] as const) {
      const request = new Request(`${SUB}?explain=1`, { headers: HANDSHAKE });
      const ctx = createExecutionContext();
      const response = await createApp().fetch(request, withFailingTopics(error), ctx);
      expect(await explanationOf(response)).toEqual({ frames: [], code, reason });
    }
  });

  test("4.6 agrees on the subprotocol, without which a browser would not listen", async () => {
    const offered = "base64url.bearer.authorization.wspubsub.YQ, wspubsub.raw";
    const response = await get("https://hub.test/ws/pub/d/t?explain=1", {
      ...HANDSHAKE,
      "Sec-WebSocket-Protocol": offered,
    });
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBe("wspubsub.raw");
    expect((await explanationOf(response)).code).toBe(4453);
  });

  test("4.6 what is no handshake gets a problem all the same", async () => {
    await expectProblem(await get(`${SUB}?explain=1`, {}), 426, "upgrade-required");
    const list = { ...HANDSHAKE, Upgrade: "h2c, websocket" };
    await expectProblem(await get(`${SUB}?explain=1`, list), 426, "upgrade-required");
    const old = { ...HANDSHAKE, "Sec-WebSocket-Version": "8" };
    const response = await get(`${SUB}?explain=1`, old);
    await expectProblem(response, 400, "unsupported-websocket-version");
  });
});

test("4.6 a code says the status, and no 5xx reads like a 4xx", () => {
  for (const { status, closeCode } of Object.values(PROBLEMS)) {
    const codes =
      status < 500 ? [4400 + (status % 100), 4500 + (status % 100)] : [4450 + (status % 10)];
    expect(codes).toContain(closeCode);
  }
});

test("no refused handshake creates an object", async () => {
  await get("https://hub.test/ws/sub/d/%", HANDSHAKE);
  await get(SUB, {});
  await get("https://hub.test/ws/pub//d/t", HANDSHAKE);
  // Objects of other tests may end meanwhile.
  const before = (await listDurableObjectIds(env.TOPIC)).map(String);
  await get("https://hub.test/ws/pub/key/d/never", HANDSHAKE);
  expect(before).toEqual(
    expect.arrayContaining((await listDurableObjectIds(env.TOPIC)).map(String)),
  );
});
