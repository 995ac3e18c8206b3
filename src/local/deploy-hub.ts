/**
 * wrangler's `deploy`, behind what wrangler would not ask: whether all that the objects have stored is to be left behind,
 * which is what another jurisdiction means, and whether the hub could use the secrets that it is given.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { parsePlace, type Jurisdiction } from "../core/place.ts";
import { ask, canAsk } from "./ask.ts";
import { checkSecretsFile } from "./check-secrets-file.ts";
import { confirmMove, nameOf } from "./confirm-move.ts";
import { findDeployed } from "./find-deployed.ts";
import { UserError } from "./fail.ts";
import { DEFAULT_CONFIG, readHubConfig } from "./read-hub-config.ts";
import { WRANGLER } from "./wrangler.ts";

/** The option that is not wrangler's: goes on without a question, for where nobody can answer. */
export const ACCEPT_LOSS = "--accept-loss";

/** Options of wrangler's that choose what is deployed, and those that deploy nothing. */
const OPTIONS = {
  config: { type: "string", short: "c" },
  env: { type: "string", short: "e" },
  name: { type: "string" },
  "secrets-file": { type: "string" },
  "dry-run": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** Deploys with options of wrangler's, and ours; resolves with wrangler's exit code, or throws a UserError. */
export async function deployHub(
  options: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const args = options.filter((arg) => arg !== ACCEPT_LOSS);
  const { values } = parseArgs({ args, options: OPTIONS, strict: false });
  if (values.help !== true) await checkSecrets(textOf(values["secrets-file"]));
  if (values["dry-run"] !== true && values.help !== true) {
    const [config, environment, name] = [values.config, values.env, values.name].map(textOf);
    const next = await readJurisdiction(args, config ?? DEFAULT_CONFIG, environment);
    const which = [
      ...(config === undefined ? [] : ["--config", config]),
      ...(environment === undefined ? [] : ["--env", environment]),
      ...(name === undefined ? [] : ["--name", name]),
    ];
    if (!options.includes(ACCEPT_LOSS)) await checkMove(next, which);
  }
  const wrangler = spawn(process.execPath, [WRANGLER, "deploy", ...args], {
    stdio: "inherit",
    env,
  });
  const stop = (): void => void wrangler.kill();
  process.on("exit", stop);
  await once(wrangler, "close");
  process.off("exit", stop);
  return wrangler.exitCode ?? 1;
}

async function checkSecrets(file: string | undefined): Promise<void> {
  if (file === undefined) return;
  try {
    for (const sentence of await checkSecretsFile(file)) console.error(sentence);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${error.message}\nNothing was deployed`, { cause: error });
  }
}

/** The jurisdiction to be deployed; throws a UserError where the hub would refuse to run. */
async function readJurisdiction(
  args: readonly string[],
  config: string,
  env: string | undefined,
): Promise<Jurisdiction | null> {
  const { vars } = await readHubConfig(config, env);
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
  const deployed = await findDeployed(which);
  if (deployed.type === "nothing") return;
  if (deployed.type === "unknown") {
    console.error(`Cannot tell in which jurisdiction the deployed hub is: ${deployed.reason}`);
    // An operator that never set one is not asked whenever Cloudflare does not answer.
    if (next === null) return;
  } else if (deployed.jurisdictions.every((jurisdiction) => jurisdiction === nameOf(next))) {
    return;
  }
  const from = deployed.type === "unknown" ? null : deployed.jurisdictions;
  if (!canAsk()) {
    throw new UserError(
      `${describe(from, next)}\nNothing was deployed. ${ACCEPT_LOSS} deploys it all the same`,
    );
  }
  console.error(describe(from, next));
  if (!(await confirmMove(next, ask))) throw new UserError("Nothing was deployed");
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
