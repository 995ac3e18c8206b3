/** PROTOCOL.md, 1.9: the client library as clients get it from a hub. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { run } from "../support/run.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const ROOT = join(import.meta.dirname, "../..");
const hub = inject("hub").url.replace(/^ws/, "http");

describe("the client library", () => {
  test("1.9 is what was built, under the name and with the integrity that the build prints", async () => {
    const args = ["src/local/build/build.ts", "--client", "--json", "--hub", hub];
    const { code, stdout } = await run("node", args, { cwd: ROOT });
    expect(code).toBe(0);
    const { url, integrity, bytes } = JSON.parse(stdout);
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get("Cache-Control")).toContain("immutable");
    const content = Buffer.from(await response.arrayBuffer());
    expect(content.length).toBe(bytes);
    expect(`sha384-${createHash("sha384").update(content).digest("base64")}`).toBe(integrity);
    const current = await fetch(`${hub}/client.js`);
    expect(Buffer.from(await current.arrayBuffer()).equals(content)).toBe(true);
  });

  test("1.9 is asked for again and not sent again, and HEAD has no content", async () => {
    const first = await fetch(`${hub}/client.js`);
    const etag = first.headers.get("ETag") ?? "";
    expect(await first.text()).not.toBe("");
    const again = await fetch(`${hub}/client.js`, { headers: { "If-None-Match": etag } });
    expect(again.status).toBe(304);
    const head = await fetch(`${hub}/client.js`, { method: "HEAD" });
    expect(head.headers.get("ETag")).toBe(etag);
    expect(await head.text()).toBe("");
  });

  test("1.9 is found by Deno with its types, by its URL alone", async () => {
    const folder = await temporaryFolder();
    const check = async (use: string): ReturnType<typeof run> => {
      const code = `import { subscribe } from "${hub}/client.js";\n${use};\n`;
      await writeFile(join(folder, "use.ts"), code);
      const args = ["check", `--allow-import=${new URL(hub).host}`, "use.ts"];
      const env = { DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
      return run(join(ROOT, "node_modules/.bin/deno"), args, { cwd: folder, env });
    };
    expect(await check('subscribe("ws://hub.test/ws/sub/d/t")')).toMatchObject({ code: 0 });
    const { code, stderr } = await check("subscribe(1)");
    expect(code).toBe(1);
    expect(stderr).toContain("TS2345");
  });
});
