/** How the client library's types become one file, and what else a build promises. */
import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildClient } from "../../src/local/build/build-client.ts";
import { collectLicenses } from "../../src/local/build/collect-licenses.ts";
import { declareClient } from "../../src/local/build/declare-client.ts";
import { splitDeclarations } from "../../src/local/build/split-declarations.ts";
import { run } from "../support/run.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const ROOT = join(import.meta.dirname, "../..");

/** A folder with these files, by their paths. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

async function declare(files: Readonly<Record<string, string>>): Promise<string> {
  return declareClient(await folderWith(files), "main.ts");
}

describe("the types in one file", () => {
  test("are those of the entry, with what they name, however many modules that is", async () => {
    const types = await declare({
      "main.ts": `
        /** The module's header. */
        import type { Inner } from "./deep/inner.ts";
        import { type Hidden, unused } from "./hidden.ts";
        export { Failure } from "./failure.ts";
        export type { Inner } from "./deep/inner.ts";
        export type * from "./all.ts";
        unused();
        /** Does it. */
        export function act(inner: Inner): Hidden { return [inner]; }
      `,
      "deep/inner.ts": `
        /** A header that is nobody's. */

        /** Within. */
        export interface Inner {
          /** A member's. */
          readonly deepest: Deepest;
        }
        type Deepest = string;
        export interface Unneeded { readonly a: string }
      `,
      "hidden.ts": `
        import type { Inner } from "./deep/inner.ts";
        export type Hidden = readonly Inner[];
        export function unused(): void {}
      `,
      "all.ts": `
        import type { Hidden } from "./hidden.ts";
        export interface One { readonly hidden: Hidden }
        export type Two = One["hidden"];
      `,
      "failure.ts": `
        /** Fails. */
        export class Failure extends Error {
          readonly #a = 1;
          /** Not Unneeded. */
          get a(): number { return this.#a; }
        }
      `,
    });
    expect(types).toBe(`/** Within. */
interface Inner {
    /** A member's. */
    readonly deepest: Deepest;
}

type Deepest = string;

type Hidden = readonly Inner[];

/** Fails. */
declare class Failure extends Error {
    #private;
    /** Not Unneeded. */
    get a(): number;
}

interface One {
    readonly hidden: Hidden;
}

type Two = One["hidden"];

/** Does it. */
declare function act(inner: Inner): Hidden;

export { Failure, Inner, One, Two, act };
`);
  });

  test("keep all overloads of a function", async () => {
    const types = await declare({
      "main.ts": `
        /** Of a text. */
        export function f(a: string): string;
        /** Of a number. */
        export function f(a: number): number;
        export function f(a: string | number): string | number { return a; }
      `,
    });
    expect(types.match(/declare function f/g)).toHaveLength(2);
    expect(types).toContain("/** Of a number. */");
  });

  test("are not cut where they are not as the compiler prints them", () => {
    for (const text of ["  type A = 1;\n", "type A = 1;", "\ntype A = 1;\n"]) {
      expect(() => splitDeclarations(text)).toThrow("Cannot cut declarations");
    }
  });

  test.each([
    ["another name", 'export { a as b } from "./a.ts";', 'with "a as b"'],
    ["a namespace", 'import * as a from "./a.ts"; export const b: a.A = 1;', "Cannot read"],
    ["a default", "export default function f(): void {}", "Cannot read"],
    ["a name twice", 'export { a } from "./a.ts"; export type A = string;', "declare A"],
    ["no syntax", "export function (", "Cannot declare the client library: "],
  ])("are refused for %s", async (_, main, message) => {
    const files = { "main.ts": main, "a.ts": "export type A = number; export const a: A = 1;" };
    await expect(declare(files)).rejects.toThrow(message);
  });
});

describe("a build", () => {
  const SOURCES = {
    "package.json": '{ "version": "1.2.3", "type": "module" }',
    "src/client/main.ts": 'import { a } from "../core/a.ts"; export const b: string = a;',
    "src/core/a.ts": "export const a: string = `a`;",
  };

  test("that finds nothing new touches no file, and leaves no other", async () => {
    const root = await folderWith(SOURCES);
    const first = await buildClient(root);
    const files = ["dist/client/client.js", "dist/client/client.d.ts", "dist/served/client.json"];
    const state = (): Promise<unknown[]> =>
      Promise.all(
        files.map(async (file) => {
          const { ino, mtimeMs } = await stat(join(root, file));
          return { ino, mtimeMs };
        }),
      );
    const before = await state();
    expect(await buildClient(root)).toEqual(first);
    expect(await state()).toEqual(before);
    const all = await readdir(join(root, "dist"), { recursive: true });
    expect(all.toSorted()).toEqual([
      "client",
      "client/client.d.ts",
      "client/client.js",
      "served",
      "served/client.json",
    ]);
  });

  test("has another name for other code, and the same one wherever it is made", async () => {
    const one = await buildClient(await folderWith(SOURCES));
    const same = await buildClient(await folderWith(SOURCES));
    const changed = { ...SOURCES, "src/core/a.ts": "export const a: string = `b`;" };
    const other = await buildClient(await folderWith(changed));
    expect(same).toEqual(one);
    expect(other.path).not.toBe(one.path);
    expect(other.integrity).not.toBe(one.integrity);
    expect(other.path).toMatch(/^\/client-[0-9a-f]{16}\.js$/);
  });

  test("says of which version and license the module is", async () => {
    const root = await folderWith(SOURCES);
    await buildClient(root);
    const code = await readFile(join(root, "dist/client/client.js"), "utf8");
    expect(code.split("\n")[0]).toBe("/*! wspubsub 1.2.3, client library, MIT License */");
    const types = await readFile(join(root, "dist/client/client.d.ts"), "utf8");
    expect(types.split("\n")[0]).toBe("/** wspubsub 1.2.3, client library, MIT License */");
  });

  test("that cannot be made says why, and leaves what was there", async () => {
    const root = await folderWith(SOURCES);
    await buildClient(root);
    const served = await readFile(join(root, "dist/served/client.json"), "utf8");
    await writeFile(join(root, "src/core/a.ts"), "export const a: string = (;");
    await expect(buildClient(root)).rejects.toThrow(/src\/core\/a\.ts/);
    expect(await readFile(join(root, "dist/served/client.json"), "utf8")).toBe(served);
  });

  test.each([
    [["--hub", "ftp://hub.test"], "--hub takes a URL"],
    [["--nothing"], "Unknown option '--nothing'"],
  ])("takes no %s", async (args, words) => {
    const all = ["src/local/build/build.ts", ...args];
    const { code, stdout, stderr } = await run("node", all, { cwd: ROOT });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(words);
  });

  test("prints the line that pins the library in a page", async () => {
    const args = ["src/local/build/build.ts", "--hub", "https://hub.test"];
    const { stdout } = await run("node", args, { cwd: ROOT });
    const [, map = ""] = /<script type="importmap">(.*)<\/script>$/m.exec(stdout) ?? [];
    const { imports, integrity } = JSON.parse(map);
    const url = imports["wspubsub/client"];
    expect(url).toMatch(/^https:\/\/hub\.test\/client-[0-9a-f]{16}\.js$/);
    expect(integrity[url]).toMatch(/^sha384-[\w+/]{64}$/);
  });
});

test("wrangler builds what the Worker imports before it bundles it", async () => {
  const checkout = await temporaryFolder();
  for (const name of ["src", "package.json", "wrangler.toml"]) {
    await cp(join(ROOT, name), join(checkout, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  const args = ["deploy", "--dry-run", "--outdir", "bundle"];
  const env = { WRANGLER_SEND_METRICS: "false", CI: "1" };
  const { code } = await run(join(ROOT, "node_modules/.bin/wrangler"), args, {
    cwd: checkout,
    env,
  });
  expect(code).toBe(0);
  const [worker, { path }] = await Promise.all([
    readFile(join(checkout, "bundle/main.js"), "utf8"),
    readFile(join(checkout, "dist/served/client.json"), "utf8").then(JSON.parse),
  ]);
  expect(worker).toContain(path);
});

describe("the licenses of what is bundled", () => {
  const FILES = {
    "node_modules/one/LICENSE": "The license of one",
    "node_modules/@a/two/LICENCE.md": "The license of two",
    "node_modules/three/package.json": '{ "license": "ISC", "author": { "name": "Three" } }',
    "node_modules/four/package.json": "{}",
  };

  test("are found once each, by their files or by name", async () => {
    const root = await folderWith(FILES);
    const inputs = ["one/a.js", "one/b.js", "@a/two/x/y.js", "three/index.js"];
    const files = ["src/cli/main.ts", ...inputs.map((file) => `node_modules/${file}`)];
    expect(collectLicenses(root, files).split(`\n${"-".repeat(80)}\n\n`)).toEqual([
      "@a/two\n\nThe license of two\n",
      "one\n\nThe license of one\n",
      "three\n\nISC License, Three\n",
    ]);
  });

  test("are missed where there are none", async () => {
    const root = await folderWith(FILES);
    expect(() => collectLicenses(root, ["node_modules/four/index.js"])).toThrow("license");
  });
});
