/** The commands of docs/, as they stand there, on a hub that runs. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshKey, sql, topicUrls } from "../../support/addresses.ts";
import { open, refused } from "../../support/client.ts";
import { documentBlock } from "../../support/document-block.ts";
import { adapt, runScript } from "../../support/document-commands.ts";
import { noteSecret } from "../../support/secrets.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

const { url, sqlEndpoint } = inject("hub");
/** A dozen programs, one after the other. */
const SLOW = { timeout: 180_000 };
const SECRET_LINE = /^[\w-]{43}$/m;

/** What a command has printed, a line of its own. */
function printed(kind: "key" | "signing secret" | "token", output: string): string {
  const form = kind === "token" ? /^[\w-]+\.[\w-]+\.[\w-]+$/m : SECRET_LINE;
  const [secret] = form.exec(output) ?? [];
  if (secret === undefined) throw new Error(`No ${kind} was printed`);
  return noteSecret(kind, secret);
}

function bearer(credential: string): Record<string, string> {
  return { Authorization: `Bearer ${credential}` };
}

describe.runIf(sqlEndpoint !== null)("docs/policy.md", () => {
  test("sets a policy", async () => {
    const { domain } = await freshDomain();
    const block = await documentBlock("docs/policy.md", "set");
    const output = await runScript(adapt(block, { example: domain }));
    expect(output).toMatch(/max_subscribers +1000/);
  });
});

describe.runIf(sqlEndpoint !== null)("docs/cli.md", () => {
  test("lists commands that work", SLOW, async () => {
    const { domain } = await freshDomain();
    const { id } = await freshKey(domain);
    const { key } = await freshKey(domain);
    const publisher = await open(`${url}/ws/pub/${key}/${domain}/news`);
    const file = join(await temporaryFolder(), "key.txt");
    await writeFile(file, noteSecret("key", crypto.randomUUID()));
    const block = await documentBlock("docs/cli.md", "commands");
    const own = { example: domain, "key.txt": file, "revoke 3": `revoke ${id}` };
    const output = await runScript(adapt(block, own));
    expect(output).toMatch(SECRET_LINE);
    expect(await publisher.next()).toMatchObject({ type: "close", code: 4504 });
  });

  test("moves messages, and looks for faults", async () => {
    const { domain, key } = await freshDomain({ publishers: "shared", history_messages: 10_000 });
    const block = await documentBlock("docs/cli.md", "messages");
    const output = await runScript(adapt(block, { example: domain }), { WSPUBSUB_KEY: key });
    const lines = output.split("\n");
    const first = lines.indexOf("991");
    expect(lines.slice(first, first + 10)).toEqual(
      Array.from({ length: 10 }, (_, n) => String(991 + n)),
    );
    expect(output).toMatch(/^MESSAGES +P50/m);
    expect(output).toMatch(/^ok +key +it opens/m);
  });
});

describe.runIf(sqlEndpoint !== null)("docs/operate.md", () => {
  test("rotates a key, and revokes it", async () => {
    const { domain, key } = await freshDomain();
    const [row] = await sql("select id from apikeys where domain = $1", [domain]);
    const own = { example: domain, " 3 ": ` ${String(row?.["id"])} ` };
    const rotation = adapt(await documentBlock("docs/operate.md", "rotate-key"), own);
    const newKey = printed("key", await runScript(rotation));
    const { pub } = topicUrls(url, { key, domain });
    const old = await open(pub);
    // The hub can end the connection at once of one that has sent something (8.5).
    old.send("a message");
    await open(topicUrls(url, { key: newKey, domain }).pub);
    await runScript(adapt(await documentBlock("docs/operate.md", "revoke-key"), own));
    expect(await old.next()).toMatchObject({ type: "close", code: 4501 });
  });

  test("makes a domain private, signs a token for it, and rotates the secret", async () => {
    const { domain, key } = await freshDomain();
    const own = { example: domain };
    await open(`${url}/ws/pub/${key}/${domain}/users%2F7%2Fx`);
    const sub = `${url}/ws/sub/${domain}/users%2F7%2Fx`;
    await open(sub);
    const making = adapt(await documentBlock("docs/operate.md", "make-private"), own);
    const secret = printed("signing secret", await runScript(making));
    expect((await refused(sub)).status).toBe(401);

    const program = adapt(await documentBlock("docs/operate.md", "sign-token.mjs"), own);
    const signing = `node --input-type=module <<'EOF'\n${program}EOF`;
    const signed = await runScript(signing, { TOKEN_SECRET: secret });
    const token = printed("token", signed);
    await open(sub, [], bearer(token));
    const minting = adapt(await documentBlock("docs/operate.md", "mint"), own);
    await open(sub, [], bearer(printed("token", await runScript(minting))));

    const rotation = adapt(await documentBlock("docs/operate.md", "rotate-secret"), own);
    const next = printed("signing secret", await runScript(rotation));
    expect(next).not.toBe(secret);
    await open(sub, [], bearer(token));
    const resigned = await runScript(signing, { TOKEN_SECRET: next });
    await open(sub, [], bearer(printed("token", resigned)));
  });

  test("lets tokens publish", async () => {
    const { domain } = await freshDomain();
    const block = await documentBlock("docs/operate.md", "token-publishers");
    const output = await runScript(adapt(block, { example: domain }));
    const of = bearer(printed("token", output));
    const place = `${domain}/users%2F7%2Fx`;
    const publisher = await open(`${url}/ws/pub/${place}`, [], of);
    const subscriber = await open(`${url}/ws/sub/${place}`, [], of);
    publisher.send("by a token");
    expect(await subscriber.texts(1)).toEqual(["by a token"]);
  });

  test("finds out why a client is refused", async () => {
    const block = await documentBlock("docs/operate.md", "why-refused");
    const output = await runScript(adapt(block, { "localhost:8787": new URL(url).host }));
    expect(output).toContain("404");
    expect(output).toContain("urn:wspubsub:problem:topic-not-live");
  });
});
