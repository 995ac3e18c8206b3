/**
 * What `npm pack` makes: it holds what it should and nothing else, and works in a fresh folder, without a registry and
 * without any library beside it.
 */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { version } from "../../package.json" with { type: "json" };
import { startPostgres } from "../support/local-postgres.ts";
import { run, type Run } from "../support/run.ts";

const ROOT = join(import.meta.dirname, "../..");
const TARBALL = `wspubsub-${version}.tgz`;

let folder: string;
let fresh: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "wspubsub-package-"));
  fresh = join(folder, "fresh");
  await mkdir(fresh);
  await writeFile(join(fresh, "package.json"), '{ "private": true, "type": "module" }');
  // As a build before may have left it.
  await mkdir(join(ROOT, "dist/cli"), { recursive: true });
  await writeFile(join(ROOT, "dist/cli/stale.js"), "");
  await npm(ROOT, "pack", "--pack-destination", folder);
  await npm(fresh, "install", "--offline", join(folder, TARBALL));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs npm, which has nothing kept from before. */
async function npm(cwd: string, ...args: string[]): Promise<void> {
  const env = { npm_config_cache: join(folder, "cache"), npm_config_update_notifier: "false" };
  expect(await run("npm", args, { cwd, env })).toMatchObject({ code: 0 });
}

/** Runs a program of the checkout in the fresh folder. */
function inFresh(program: string, ...args: string[]): Promise<Run> {
  return run(join(ROOT, "node_modules/.bin", program), args, { cwd: fresh });
}

/** Runs the installed command line. */
function wspubsub(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  return run(join(fresh, "node_modules/.bin/wspubsub"), args, { cwd: fresh, env });
}

describe("the package", () => {
  test("holds the client library, the command line and what people read, and nothing else", async () => {
    const { stdout } = await run("tar", ["-tzf", TARBALL], { cwd: folder });
    const files = stdout.trim().split("\n");
    const chunks = /^package\/dist\/cli\/[\w-]+-[A-Z0-9]{8}\.js$/;
    expect(files.filter((file) => !chunks.test(file)).toSorted()).toEqual([
      "package/LICENSE",
      "package/README.md",
      "package/dist/cli/LICENSES.txt",
      "package/dist/cli/main.js",
      "package/dist/client/client.d.ts",
      "package/dist/client/client.js",
      "package/package.json",
      "package/src/cli/launch.js",
    ]);
  });

  test("is small", async () => {
    expect((await stat(join(folder, TARBALL))).size).toBeLessThan(200_000);
  });

  test("brings no library along, and the licenses of those that are in it", async () => {
    const lock = await readFile(join(fresh, "node_modules/.package-lock.json"), "utf8");
    expect(Object.keys(JSON.parse(lock).packages)).toEqual(["node_modules/wspubsub"]);
    const licenses = join(fresh, "node_modules/wspubsub/dist/cli/LICENSES.txt");
    expect((await readFile(licenses, "utf8")).match(/^[@\w/-]+$/gm)).toEqual(
      expect.arrayContaining(["@neondatabase/serverless", "commander", "jose", "pg", "valibot"]),
    );
  });
});

describe("its command line", () => {
  test("knows itself", async () => {
    const help = await wspubsub(["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toMatch(/^Usage: wspubsub /);
    expect((await wspubsub(["--version"])).stdout.trim()).toBe(version);
    expect(await wspubsub(["nothing"])).toMatchObject({ code: 2, stdout: "" });
  });

  test("makes a key in Postgres, and a token", async () => {
    const postgres = await startPostgres();
    try {
      const env = { DATABASE_URL: postgres.url };
      const made = await wspubsub(["keys", "create", "packed", "--json"], env);
      expect(made.code).toBe(0);
      expect(JSON.parse(made.stdout)).toMatchObject({ domain: "packed" });
      const set = ["domains", "set", "packed", "--subscribers", "token", "--token-secret", "new"];
      expect((await wspubsub(set, env)).code).toBe(0);
      const mint = ["tokens", "mint", "packed", "--topic", "t", "--subject", "s"];
      const minted = await wspubsub(mint, env);
      expect(minted.code).toBe(0);
      expect(minted.stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    } finally {
      await postgres.stop();
    }
  });

  test("speaks to an ordinary Postgres, too", async () => {
    const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:2/nothing" };
    const { code, stderr } = await wspubsub(["keys", "list"], env);
    expect(code).toBe(1);
    expect(stderr).toContain("no connection: ECONNREFUSED");
  });
});

describe("its client library", () => {
  test.each([
    ["node", "use.js"],
    ["deno", "run", "--node-modules-dir=manual", "--allow-read", "use.js"],
    ["bun", "use.js"],
  ])("is imported by %s", async (program, ...args) => {
    const code =
      'import * as client from "wspubsub/client"; console.log(Object.keys(client).join());';
    await writeFile(join(fresh, "use.js"), code);
    expect(await inFresh(program, ...args)).toEqual({
      code: 0,
      stdout: "HubError,openPublisher,subscribe\n",
      stderr: "",
    });
  });

  test.each([
    ["a browser's", "bundler", "esnext,dom", ""],
    ["a browser's of 2022", "bundler", "es2022,dom", ""],
    ["a browser's, as Node resolves", "nodenext", "esnext,dom", ""],
    ["Node's", "nodenext", "esnext", "@types/node"],
    ["Workers'", "bundler", "es2022", "@cloudflare/workers-types"],
  ])("has types that need no others but %s", async (_, resolution, lib, types) => {
    await writeFile(join(fresh, "use.ts"), USE);
    const module = resolution === "bundler" ? "esnext" : resolution;
    const flags = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes"]
      .concat(["--target", "esnext", "--module", module, "--moduleResolution", resolution])
      .concat(["--lib", lib, "--types", types && join(ROOT, "node_modules", types), "use.ts"]);
    expect(await inFresh("tsc", ...flags)).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

/** Right and wrong uses: one that is taken and should not be is an error, too. */
const USE = `
import { HubError, openPublisher, subscribe, type Publisher, type Received } from "wspubsub/client";

await using news = subscribe("wss://hub.test/ws/sub/d/t", { since: "earliest", token: async () => "t" });
for await (const received of news) {
  const { data, cursor, at }: Received = received;
  const words: string = typeof data === "string" ? data : new TextDecoder().decode(data);
  const since: string = cursor;
  const when: Date | null = at;
  console.log(words, since, when);
}
news.addEventListener("gap", ({ detail }) => detail.from satisfies string, { once: true });
const target: EventTarget = news;
const publisher: Publisher = openPublisher(new URL("wss://hub.test/ws/pub/d/t"), { key: "k", takeover: true });
try {
  const { cursor }: { cursor: string } = await publisher.publish(["a", new Uint8Array(1)]);
  console.log(cursor);
} catch (error) {
  if (error instanceof HubError) console.log(error.slug satisfies string, error.status);
}
await publisher.finish("z");

// @ts-expect-error a misspelt option
subscribe("wss://hub.test/ws/sub/d/t", { sicne: "earliest" });
// @ts-expect-error neither text nor bytes
await publisher.publish(1);
// @ts-expect-error nothing private is exported
import { Link } from "wspubsub/client";
`;
