/**
 * `npm run deploy`: wrangler's, but for one question that wrangler would not ask: whether all that the objects have
 * stored is to be left behind, which is what another jurisdiction means.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { unstable_readConfig as readConfig } from "wrangler";
import { parsePlace, type Jurisdiction } from "../core/place.ts";
import { confirmMove, nameOf } from "./confirm-move.ts";
import { findDeployed, WRANGLER } from "./find-deployed.ts";
import { failWith, UserError } from "./fail.ts";
import { refuseSwallowedOptions } from "./refuse-swallowed-options.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The option that is not wrangler's: goes on without a question, for where nobody can answer. */
const ACCEPT_LOSS = "--accept-loss";

const HELP = `npm run deploy -- [options of wrangler's, below]

  ${ACCEPT_LOSS}  Deploy without a question though JURISDICTION differs from the deployed hub's, which leaves all
                 that its objects have stored behind (README.md, Where the hub lives)
`;

/** Options of wrangler's that choose what is deployed, and those that deploy nothing. */
const OPTIONS = {
  config: { type: "string", short: "c" },
  env: { type: "string", short: "e" },
  name: { type: "string" },
  "dry-run": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** Without these, something else would be deployed than was meant. */
const DECISIVE = [...Object.keys(OPTIONS), "accept-loss", "secrets-file", "var"];

async function main(): Promise<void> {
  refuseSwallowedOptions("deploy", DECISIVE, process.argv.slice(2));
  const args = process.argv.slice(2).filter((arg) => arg !== ACCEPT_LOSS);
  const { values } = parseArgs({ args, options: OPTIONS, strict: false });
  if (values.help === true) console.log(HELP);
  if (values["dry-run"] !== true && values.help !== true) {
    const [config, env, name] = [values.config, values.env, values.name].map(textOf);
    await checkMove(readJurisdiction(args, config ?? join(ROOT, "wrangler.toml"), env), [
      ...(config === undefined ? [] : ["--config", config]),
      ...(env === undefined ? [] : ["--env", env]),
      ...(name === undefined ? [] : ["--name", name]),
    ]);
  }
  const wrangler = spawn(process.execPath, [WRANGLER, "deploy", ...args], { stdio: "inherit" });
  await once(wrangler, "close");
  process.exitCode = wrangler.exitCode ?? 1;
}

/** The jurisdiction to be deployed; throws a UserError where the hub would refuse to run. */
function readJurisdiction(
  args: readonly string[],
  config: string,
  env: string | undefined,
): Jurisdiction | null {
  const { vars } = readConfig({ config, env }, { hideWarnings: true });
  const settings: Record<string, unknown> = { ...vars };
  for (const arg of args) {
    const [, key, value] = /^(?:--var=)?(HOME_REGION|JURISDICTION):(.*)$/.exec(arg) ?? [];
    if (key !== undefined) settings[key] = value;
  }
  const place = parsePlace(settings);
  if (place.ok) return place.value.jurisdiction;
  throw new UserError(`${place.error.join("\n")}\nNothing was deployed`);
}

/** Throws a UserError where the deployment would leave objects behind and nobody wants that. */
async function checkMove(next: Jurisdiction | null, which: readonly string[]): Promise<void> {
  if (process.argv.includes(ACCEPT_LOSS)) return;
  const deployed = await findDeployed(which);
  if (deployed.type === "nothing") return;
  if (deployed.type === "unknown") {
    console.error(`Cannot tell in which jurisdiction the deployed hub is: ${deployed.reason}`);
    // Whoever never set one is not asked whenever Cloudflare does not answer.
    if (next === null) return;
  } else if (deployed.jurisdictions.every((jurisdiction) => jurisdiction === nameOf(next))) {
    return;
  }
  const from = deployed.type === "unknown" ? null : deployed.jurisdictions;
  if (!process.stdin.isTTY) {
    throw new UserError(
      `${describe(from, next)}\nNothing was deployed. ${ACCEPT_LOSS} deploys it all the same`,
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    console.error(describe(from, next));
    const isMeant = await confirmMove(next, (question) => terminal.question(question));
    if (!isMeant) throw new UserError("Nothing was deployed");
  } finally {
    terminal.close();
  }
}

function describe(from: readonly string[] | null, next: Jurisdiction | null): string {
  const change =
    from === null
      ? `JURISDICTION is ${nameOf(next)}. If the deployed hub has another one,`
      : `JURISDICTION is ${from.join(" and ")} in the deployed hub, and is to be ${nameOf(next)}:`;
  return (
    `${change} the hub begins anew with other objects.\n` +
    "The logs of all topics are left behind, the registers of what is live, tickets, and\n" +
    "revocations that Postgres does not have yet. Clients that come back find empty topics."
  );
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

main().catch(failWith);
