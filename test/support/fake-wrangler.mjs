/**
 * wrangler as `npm run deploy` and `npm run setup` see it: what there is at Cloudflare comes out of the environment, and
 * nothing is deployed. What it was asked is written to the file RECORD, a line each.
 */
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";

const args = process.argv.slice(2);
const [command, , version = ""] = args;
const read = (name, otherwise) => JSON.parse(process.env[name] ?? otherwise);
/** The jurisdictions of the deployed versions; a text is how wrangler fails. */
const deployed = read("DEPLOYED", "null");

function fail(words) {
  process.stderr.write(`✘ [ERROR] ${words}\n`);
  process.exitCode = 1;
}

function answer() {
  if (command === "secret")
    return read("SECRETS", "[]").map((name) => ({ name, type: "secret_text" }));
  if (command === "deployments") {
    return { id: "d", versions: deployed.map((_, number) => ({ version_id: `v${number}` })) };
  }
  const text = deployed[Number(version.slice(1))];
  return { resources: { bindings: text === null ? [] : [{ name: "JURISDICTION", text }] } };
}

function whoami() {
  const hasLoggedIn = existsSync(process.env["LOGIN"] ?? "");
  const accounts = hasLoggedIn ? ["Mine"] : read("ACCOUNTS", '["Mine"]');
  if (accounts === null) process.exitCode = 1;
  return accounts === null
    ? { loggedIn: false }
    : { loggedIn: true, authType: "OAuth Token", accounts: accounts.map((name) => ({ name })) };
}

function deploy() {
  const output = process.env["WRANGLER_OUTPUT_FILE_PATH"];
  if (output === undefined) return;
  const entries = [
    { type: "wrangler-session", version: 1 },
    { type: "deploy", version: 1, targets: read("TARGETS", "[]") },
  ];
  appendFileSync(output, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
}

function record() {
  if (process.env["RECORD"] === undefined) return;
  const file = args[args.indexOf("--secrets-file") + 1];
  const text = args.includes("--secrets-file") ? readFileSync(file, "utf8") : "null";
  const secrets = /^[{n]/.test(text) ? JSON.parse(text) : { text };
  const mode = secrets === null ? null : (statSync(file).mode & 0o777).toString(8);
  const { DATABASE_URL, ADMIN_TOKEN } = process.env;
  const entry = {
    args,
    secrets,
    mode,
    file: secrets === null ? null : file,
    DATABASE_URL,
    ADMIN_TOKEN,
  };
  appendFileSync(process.env["RECORD"], `${JSON.stringify(entry)}\n`);
}

record();
if (command === process.env["HANG"]) {
  process.stdout.write(`Hanging as ${process.pid}\n`);
  setInterval(() => {}, 1000);
} else if (command === process.env["FAIL"]) {
  fail("fetch failed");
} else if (command === "deploy") {
  deploy();
} else if (command === "login") {
  writeFileSync(process.env["LOGIN"], "");
} else if (command === "whoami") {
  process.stdout.write(JSON.stringify(whoami()));
} else if (typeof deployed === "string") {
  fail(`${deployed} (${JSON.stringify(args)})`);
} else {
  process.stdout.write(JSON.stringify(answer()));
}
