/** PROTOCOL.md, sections 1 and 4: what the edge refuses before any database or object is touched. */
import { listDurableObjectIds } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";

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

  test.each(["POST", "PUT", "HEAD", "OPTIONS"])("1.3 refuses %s and allows GET", async (method) => {
    // With an Upgrade header the runtime would make it a GET.
    const response = await exports.default.fetch(SUB, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe("GET");
  });

  test("1.4 asks for the upgrade", async () => {
    for (const Upgrade of ["", "h2c", "websockets"]) {
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
    const headers = { ...HANDSHAKE, Authorization: "Basic dXNlcjpwYXNz" };
    await expectProblem(await get(PUB, headers), 401, "key-required");
  });
});

async function closeOf(response: Response): Promise<{ code: number; reason: string }> {
  expect(response.status).toBe(101);
  const socket = response.webSocket;
  if (!socket) throw new Error("There is no socket");
  return new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    socket.accept();
  });
}

describe("?explain=1", () => {
  test.each([
    ["/ws/sub/d/%", 4500, "invalid-address"],
    ["/ws/pub/d/t", 4501, "key-required"],
    ["/ws/pub/key/d/t", 4403, "key-store-unavailable"],
    ["/ws/nowhere", 4504, "not-found"],
    ["/ws/sub/d/t?since=never&x=1", 4500, "invalid-parameter"],
  ])("4.6 closes with code and slug: %s", async (path, code, reason) => {
    const url = `https://hub.test${path}${path.includes("?") ? "&" : "?"}explain=1`;
    expect(await closeOf(await get(url))).toEqual({ code, reason });
  });

  test("4.6 agrees on the subprotocol, without which a browser would not listen", async () => {
    const offered = "base64url.bearer.authorization.wspubsub.YQ, wspubsub.raw";
    const response = await get("https://hub.test/ws/pub/d/t?explain=1", {
      ...HANDSHAKE,
      "Sec-WebSocket-Protocol": offered,
    });
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBe("wspubsub.raw");
    expect((await closeOf(response)).code).toBe(4403);
  });

  test("4.6 what is no handshake gets a problem all the same", async () => {
    await expectProblem(await get(`${SUB}?explain=1`, {}), 426, "upgrade-required");
  });
});

test("no refused handshake creates an object", async () => {
  await get("https://hub.test/ws/sub/d/%", HANDSHAKE);
  await get(SUB, {});
  await get("https://hub.test/ws/pub//d/t", HANDSHAKE);
  const before = (await listDurableObjectIds(env.TOPIC)).length;
  await get("https://hub.test/ws/pub/key/d/never", HANDSHAKE);
  expect((await listDurableObjectIds(env.TOPIC)).length).toBe(before);
});
