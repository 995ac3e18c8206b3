/** PROTOCOL.md, 1.9: the client library as the hub serves it. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { path as PINNED } from "../../../dist/served/client.json";

const MODULES = ["/client.js", PINNED];
const FILES = [...MODULES, "/client.d.ts"];

function ask(path: string, init?: RequestInit): Promise<Response> {
  return exports.default.fetch(`https://hub.test${path}`, init);
}

describe("the client library", () => {
  test.each(MODULES)("1.9 %s is a module, whose types are known", async (path) => {
    const response = await ask(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("text/javascript; charset=utf-8");
    expect(response.headers.get("X-TypeScript-Types")).toBe("/client.d.ts");
    expect(await response.text()).toMatch(/^\/\*! wspubsub \d.*MIT/);
  });

  test("1.9 /client.d.ts has its types, and imports nothing", async () => {
    const response = await ask("/client.d.ts");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("application/typescript; charset=utf-8");
    const types = new TextDecoder().decode(await response.arrayBuffer());
    expect(types).toMatch(/^export \{ .*openPublisher.*subscribe.* \};$/m);
    expect(types).not.toMatch(/\b(import|from) ?["({]/);
  });

  test.each(FILES)("1.9 %s is for any page, as what it says it is", async (path) => {
    const { headers } = await ask(path, { headers: { Origin: "https://page.test" } });
    expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(headers.get("Cross-Origin-Resource-Policy")).toBe("cross-origin");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
  });

  test("1.9 a name without a hash is kept for five minutes, one with it for good", async () => {
    const kept = FILES.map(async (path) => (await ask(path)).headers.get("Cache-Control"));
    const [current, pinned, types] = await Promise.all(kept);
    expect(current).toBe("public, max-age=300");
    expect(types).toBe("public, max-age=300");
    expect(pinned).toBe("public, max-age=31536000, immutable");
  });

  test("1.9 the hash is the content's", async () => {
    const [pinned, current] = await Promise.all(
      [PINNED, "/client.js"].map(async (path) => (await ask(path)).arrayBuffer()),
    );
    if (pinned === undefined || current === undefined) throw new Error("There is no module");
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", pinned));
    expect(PINNED).toBe(`/client-${digest.toHex().slice(0, 16)}.js`);
    expect(new Uint8Array(current)).toEqual(new Uint8Array(pinned));
  });

  test.each(FILES)("1.9 %s is not sent again to who has it", async (path) => {
    const etag = (await ask(path)).headers.get("ETag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]+"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, `"other",W/${etag}`, "*"]) {
      const response = await ask(path, { headers: { "If-None-Match": known } });
      expect({ known, status: response.status }).toEqual({ known, status: 304 });
      expect(response.headers.get("ETag")).toBe(etag);
      expect(response.headers.get("Cache-Control")).toMatch(/^public, max-age=/);
      expect(await response.text()).toBe("");
    }
    for (const other of ['"other"', etag.slice(1, -1), `${etag}x`, ""]) {
      expect((await ask(path, { headers: { "If-None-Match": other } })).status).toBe(200);
    }
  });

  test("1.9 its types have an ETag of their own", async () => {
    const etags = await Promise.all(
      FILES.map(async (path) => (await ask(path)).headers.get("ETag")),
    );
    expect(etags[0]).toBe(etags[1]);
    expect(etags[2]).not.toBe(etags[0]);
  });

  test.each(FILES)("1.9 HEAD of %s says the same, without content", async (path) => {
    const [get, head] = await Promise.all([ask(path), ask(path, { method: "HEAD" })]);
    expect(head.status).toBe(200);
    for (const name of ["Content-Type", "ETag", "Cache-Control", "Access-Control-Allow-Origin"]) {
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    }
    expect(await head.text()).toBe("");
  });

  test.each(FILES)("1.9 any other method of %s is refused", async (path) => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await ask(path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get("Allow")).toBe("GET, HEAD");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      const { type } = await response.json<{ type: string }>();
      expect(type).toBe("urn:wspubsub:problem:method-not-allowed");
    }
  });

  test.each([
    "/client-0123456789abcdef.js",
    PINNED.replace(".js", ".d.ts"),
    `${PINNED}/`,
    "/client",
    "/client.js/x",
    "/Client.js",
    "/client.mjs",
  ])("1.9 another build's %s is nowhere", async (path) => {
    const response = await ask(path);
    expect(response.status).toBe(404);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
  });

  test("1.9 a hash that is no more says where the library is", async () => {
    const { detail } = await (await ask("/client-0123456789abcdef.js")).json<{ detail: string }>();
    expect(detail).toContain("/client.js");
    expect(detail).not.toContain("0123456789abcdef");
  });
});
