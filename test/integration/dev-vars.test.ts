/**
 * `.dev.vars` and its kin: what wrangler reads is read alike, the rest is refused by name, and no command ever takes
 * another database or hub than the one that was meant.
 */
import fc from "fast-check";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { unstable_getVarsForDev as getVarsForDev } from "wrangler";
import { parseDevVars } from "../../src/local/parse-dev-vars.ts";
import { expectFailure, runCli } from "../support/cli.ts";
import { startDevAlone } from "../support/dev-process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

/** Nothing listens on port 2. */
const OF_FILE = "postgres://u:geheim@file.example:2/d";
const OF_ENVIRONMENT = "postgres://u:geheim@127.0.0.1:2/d";

const TOKEN = "an-admin-token-that-is-long-enough-0123456789";

/** What wrangler makes of a file. */
function readByWrangler(folder: string): Record<string, unknown> {
  const vars = getVarsForDev(join(folder, "wrangler.toml"), undefined, {}, undefined, true);
  return Object.fromEntries(Object.entries(vars).map(([name, { value }]) => [name, value]));
}

const PIECES = ["A", "B.c-d", "DATABASE_URL", "export ", "=", ": ", ":", " ", "\t", "'", '"', "`"]
  .concat(["\\", "\\n", "\\r", "\\$", "$A", "${A}", "#", "\n", "\r", "\r\n", "\uFEFF", "\u2028"])
  .concat(["ä", "x y", "KEY=", "\nKEY: ", '"two\nlines"', "'it\\'s'", "# DATABASE_URL=x"]);

describe("a text", () => {
  test.each([
    ["DATABASE_URL=x", "x"],
    ["DATABASE_URL: x", "x"],
    ["export DATABASE_URL = x # y", "x"],
    ["A=1\rDATABASE_URL=x\rB=2", "x"],
    ["\uFEFFDATABASE_URL=x", "x"],
    ['DATABASE_URL="a\\nb#c"', "a\nb#c"],
    ["DATABASE_URL='a\\nb'", "a\\nb"],
    ["DATABASE_URL=`a\"b'c`", "a\"b'c"],
    ['DATABASE_URL="$HOME\\$"', "$HOME\\$"],
    ["DATABASE_URL=1\nDATABASE_URL=2", "2"],
    ['DATABASE_URL="two\nlines"', "two\nlines"],
    ["DATABASE_URL=p#w", "p"],
    ["# DATABASE_URL=x", undefined],
    ["DATABASE_URL:x", undefined],
    ["DATABASE_URL", undefined],
  ])("%j has the value %j", async (text, value) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, ".dev.vars"), text);
    expect(parseDevVars(text).get("DATABASE_URL")).toBe(value);
    expect(readByWrangler(folder)["DATABASE_URL"]).toBe(value);
  });

  test("of whatever kind is read as wrangler reads it", async () => {
    const folder = await temporaryFolder();
    const texts = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 3 })));
    await fc.assert(
      fc.asyncProperty(texts, async (pieces) => {
        const text = pieces.join("").toWellFormed();
        await writeFile(join(folder, ".dev.vars"), text);
        // What stands before the first byte is no part of the text.
        const settings = parseDevVars(text.replace(/^\uFEFF/, ""));
        expect(Object.fromEntries(settings)).toEqual(readByWrangler(folder));
      }),
      { numRuns: 2000 },
    );
  });
});

/** Files that are refused, by what is in them. */
const REFUSED: readonly (readonly [string, string | Buffer, string])[] = [
  ["UTF-16", Buffer.from(`\uFEFFDATABASE_URL=${OF_FILE}\n`, "utf16le"), "it is UTF-16"],
  ["UTF-16BE", Buffer.from(`\uFEFFA=1`, "utf16le").swap16(), "it is UTF-16"],
  ["UTF-16 without a mark", Buffer.from(`DATABASE_URL=${OF_FILE}`, "utf16le"), "it is UTF-16"],
  ["Latin-1", Buffer.from("A=ä", "latin1"), "it is not UTF-8"],
  ["too much", Buffer.alloc(1024 * 1024 + 1, "A=1\n"), "it has more than 1 MiB"],
];

/** Texts that mean to set it and do not. */
const FUTILE: readonly (readonly [string, number])[] = [
  [`A=1\nDATABASE_URL ${OF_FILE}`, 2],
  [`set DATABASE_URL=${OF_FILE}`, 1],
  [`{\n  "DATABASE_URL": "${OF_FILE}"\n}`, 2],
  [`A=1\r\rdatabase_url=${OF_FILE}`, 3],
  [`A="1\nDATABASE_URL=${OF_FILE}\nB="`, 2],
  ["export DATABASE_URL", 1],
];

describe("the file", () => {
  test.each(REFUSED)("of %s is refused", async (_, content, why) => {
    const vars = await fileOf(content);
    expectFailure(await keysList(vars), `Cannot read ${vars}: ${why}`);
  });

  test.each(FUTILE)("%j names a setting in vain", async (text, line) => {
    const vars = await fileOf(text);
    const run = await keysList(vars);
    expectFailure(run, `Cannot read ${vars}: line ${line} has DATABASE_URL and does not set it`);
    expect(run.stderr).not.toContain("geheim");
  });

  test.each([
    "# DATABASE_URL=x",
    "MY_DATABASE_URL=x",
    "A=$DATABASE_URL",
    "A: DATABASE_URL",
    "A=1 # DATABASE_URL",
  ])("%j does not name it", async (text) => {
    expectFailure(await keysList(await fileOf(text)), "Cannot ask Postgres at 127.0.0.1");
  });

  test("that is a folder, a link to nothing or a device is refused", async () => {
    const folder = await temporaryFolder();
    const link = join(folder, "link");
    await symlink(join(folder, "nothing"), link);
    expectFailure(await keysList(folder), "it is a folder. Give a file");
    expectFailure(await keysList(link), `Cannot read ${link}: ENOENT`);
    expectFailure(await keysList("/dev/zero"), "it is a device. Give a file");
  });

  test("that is not there, or sets nothing, leaves it to the environment", async () => {
    const nothing = join(await temporaryFolder(), "nothing");
    expectFailure(await keysList(nothing), "Cannot ask Postgres at 127.0.0.1");
    const empty = await keysList(await fileOf('DATABASE_URL=""\n'));
    expectFailure(empty, "Cannot ask Postgres at 127.0.0.1");
    expect(empty.stderr).not.toContain("differs");
    const vars = await fileOf(`DATABASE_URL=${OF_ENVIRONMENT.replace("127.0.0.1", "localhost")}`);
    const file = await keysList(vars, { DATABASE_URL: "" });
    expectFailure(file, "Cannot ask Postgres at localhost");
  });

  test.each([
    ["UTF-16", Buffer.from(`\uFEFFDATABASE_URL=${OF_FILE}\n`, "utf16le"), "it is UTF-16"],
    ["nothing", `DATABASE_URL ${OF_FILE}`, "line 1 has DATABASE_URL and does not set it"],
  ])("of %s does not give npm run dev its own database", async (_, content, why) => {
    const vars = await fileOf(content);
    const state = join(await temporaryFolder(), "state");
    const env = { WSPUBSUB_DEV_VARS: vars, DATABASE_URL: "" };
    const { program } = await startDevAlone({ state, env });
    expect(await program.exited).toBe(1);
    expect(program.output()).toContain(`Cannot read ${vars}: ${why}`);
  });
});

describe("the environment", () => {
  test("wins, and a difference is said before anything is asked, without secrets", async () => {
    const vars = await fileOf(
      `DATABASE_URL=${OF_FILE}\nHUB_URL=https://file.example\nADMIN_TOKEN=${TOKEN}-of-the-file\n`,
    );
    const env = { HUB_URL: "https://environment.example", ADMIN_TOKEN: TOKEN };
    const run = await keysList(vars, env);
    const counts = "differs in .dev.vars and in the environment. That of the environment counts";
    expectFailure(
      run,
      [
        `DATABASE_URL ${counts}: 127.0.0.1`,
        `HUB_URL ${counts}: environment.example`,
        `ADMIN_TOKEN ${counts}`,
        "Cannot ask Postgres at 127.0.0.1",
      ].join("\n"),
    );
    expect(run.stderr).not.toContain("geheim");
    expect(run.stderr).not.toContain(TOKEN);
  });

  test("is not said to differ where only the spelling does", async () => {
    const vars = await fileOf(
      [
        'DATABASE_URL="postgresql://u:%67eheim@LOCALHOST:2/d?sslmode=disable"',
        "HUB_URL=http://127.0.0.1:3/",
        `ADMIN_TOKEN='${TOKEN}'`,
      ].join("\n"),
    );
    const run = await keysList(vars, { HUB_URL: "http://localhost:3", ADMIN_TOKEN: TOKEN });
    expectFailure(run, "Cannot ask Postgres at 127.0.0.1");
    expect(run.stderr).not.toContain("differs");
  });

  test.each([
    "u:geheim@127.0.0.1:3/d",
    "u:other@127.0.0.1:2/d",
    "v:geheim@127.0.0.1:2/d",
    "u:geheim@127.0.0.1:2/e",
  ])("differs from %s", async (rest) => {
    const run = await keysList(await fileOf(`DATABASE_URL=postgres://${rest}`));
    expectFailure(run, "DATABASE_URL differs");
  });

  test("does not win over the file in npm run dev, which says so", async () => {
    const vars = await fileOf("DATABASE_URL=postgres://u:geheim@file.neon.tech/d\n");
    const env = { WSPUBSUB_DEV_VARS: vars, DATABASE_URL: OF_ENVIRONMENT };
    const { program } = await startDevAlone({ state: await temporaryFolder(), env });
    await program.line(/^DATABASE_URL differs .* That of \.dev\.vars counts: file\.neon\.tech$/);
    await program.line(/^Postgres {2}file\.neon\.tech$/);
  });
});

describe("a file with keys", () => {
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ["--token-keys", ["domains", "set", "x", "--token-keys"]],
    ["--private-key", ["tokens", "mint", "x", "--topic", "t", "--private-key"]],
  ];

  describe.each(commands)("for %s", (_, args) => {
    test.each(REFUSED)("of %s is refused", async (_name, content, why) => {
      const file = await fileOf(content);
      expectFailure(
        await keysList("/dev/null", {}, [...args, file]),
        `Cannot read ${file}: ${why}`,
      );
    });

    test("that is a folder or a device is refused, and one with a mark is read", async () => {
      const run = (file: string): ReturnType<typeof runCli> =>
        keysList("/dev/null", {}, [...args, file]);
      expectFailure(await run("/dev/zero"), "it is a device. Give a file");
      expectFailure(await run(await temporaryFolder()), "it is a folder. Give a file");
      const marked = await run(await fileOf('\uFEFF{"keys":[],"kty":"EC","crv":"P-256"}'));
      expectFailure(
        marked,
        args[0] === "domains" ? "The JWK Set is empty" : "it is the public key",
      );
    });
  });
});

describe("a secret on stdin", () => {
  test.each([
    ["UTF-16", Buffer.from("\uFEFFa-secret", "utf16le"), "it is UTF-16"],
    ["Latin-1", Buffer.from("ä".repeat(40), "latin1"), "it is not UTF-8"],
    ["too much", Buffer.alloc(1024 * 1024 + 1, "a"), "it has more than 1 MiB"],
  ])("of %s is refused", async (_, input, why) => {
    const run = await runCli(["domains", "set", "x", "--token-secret", "-"], { input });
    expectFailure(run, `Cannot read stdin: ${why}`);
  });

  test("with a mark is read without it", async () => {
    const env = { DATABASE_URL: OF_ENVIRONMENT };
    const input = Buffer.from(`\uFEFF${"s".repeat(31)}`);
    const run = await runCli(["domains", "set", "x", "--token-secret", "-"], { input, env });
    expectFailure(run, "The token secret on stdin has less than 32 characters");
  });
});

async function fileOf(content: string | Buffer): Promise<string> {
  const folder = join(await temporaryFolder(), "settings");
  await mkdir(folder);
  const path = join(folder, "vars");
  await writeFile(path, content);
  return path;
}

/** Runs a command, `keys list` unless another is given, with the environment's database. */
function keysList(
  vars: string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = ["keys", "list"],
): ReturnType<typeof runCli> {
  return runCli(["--state", "/nonexistent", ...args], {
    env: { WSPUBSUB_DEV_VARS: vars, DATABASE_URL: OF_ENVIRONMENT, ...env },
  });
}
