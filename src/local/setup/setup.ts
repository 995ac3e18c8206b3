/**
 * `npm run setup`: from an empty database and an account at Cloudflare to a hub that answers. Each step looks first and
 * does what is missing, so that all can be repeated. Invariants: a dry run changes nothing; no secret is printed but
 * those that it makes, once.
 */
import { join } from "node:path";
import { canAsk, isYes } from "../ask.ts";
import { ACCEPT_LOSS, deployHub } from "../deploy-hub.ts";
import { failWith, UserError } from "../fail.ts";
import { readHubConfig, type HubConfig } from "../read-hub-config.ts";
import { wranglerEnv } from "../wrangler.ts";
import { findAccount } from "./account.ts";
import { askHealth } from "./ask-health.ts";
import { findDeployedUrl } from "./deployed-url.ts";
import { checkEnvironment, urlRecorders, writeEnvironment } from "./environment.ts";
import { findSetting } from "../find-setting.ts";
import { makeFirstKey } from "./first-key.ts";
import { planSecrets, type SecretsPlan } from "./plan-secrets.ts";
import { prepareDatabase } from "./prepare-database.ts";
import { beginStep, type Say } from "./say.ts";
import { exitOnSignals, privateFolder, withSecretsFile } from "./secrets-file.ts";
import { parseHubUrl, parseSetupOptions, SETUP_HELP, type SetupOptions } from "./setup-options.ts";

async function main(): Promise<void> {
  const options = parseSetupOptions(process.argv.slice(2));
  if (options.help) {
    console.log(SETUP_HELP);
    return;
  }
  exitOnSignals();
  // The step that shows something says what follows when it cannot be shown.
  process.stdout.on("error", () => {});

  const run = new Steps(options.dryRun);
  await run.step("1. Settings", async (say) => {
    const config = await checkConfig(options, say);
    say(`account: ${await findAccount(config, !options.dryRun)}`);
  });
  const database = await run.step("2. Database", (say) => prepareDatabase(options, say));
  await run.step("3. Keys", (say) => makeFirstKey(database, options, say));
  database?.database.close();
  const which = whichOf(options);
  const plan = await run.step("4. Secrets", (say) =>
    planSecrets(database?.place.url ?? "", which, options, say),
  );
  const deployed = await run.step("5. Deployment", (say) => deploy(plan, which, options, say));
  await run.step("6. Health", async (say) => {
    if (options.dryRun) return say("the hub would be asked how it is");
    const url = options.url ?? deployed ?? findHubUrl();
    await askHealth(url, plan?.adminToken ?? null, options.wait, say);
    return say(
      `${url} is well. The command line needs HUB_URL=${url}, ADMIN_TOKEN and DATABASE_URL`,
    );
  });
  run.conclude();
}

/** The steps in turn. The first that fails is the last, but for a dry run, which tells all that is missing. */
class Steps {
  readonly #isDry: boolean;
  #failed = 0;

  constructor(isDry: boolean) {
    this.#isDry = isDry;
  }

  /** Takes one; `null` where it failed in a dry run. */
  async step<T>(name: string, run: (say: Say) => Promise<T> | T): Promise<T | null> {
    const say = beginStep(name);
    try {
      return await run(say);
    } catch (error) {
      if (!this.#isDry || !(error instanceof UserError)) throw error;
      this.#failed += 1;
      say(`MISSING: ${error.message}`);
      return null;
    }
  }

  conclude(): void {
    if (!this.#isDry) return;
    if (this.#failed === 0) return console.error("Nothing was changed, and nothing is missing");
    throw new UserError(
      `Nothing was changed. Steps that something is missing for: ${this.#failed}`,
    );
  }
}

/** Sees to wrangler.toml, and to what it must have for an environment. */
async function checkConfig(options: SetupOptions, say: Say): Promise<HubConfig> {
  const { config: file, env, write, dryRun } = options;
  if (env !== undefined) {
    const found = await checkEnvironment(file, env);
    if (found.faults.length > 0) {
      for (const fault of found.faults) say(fault);
      if (found.toml !== "") say(`wrangler.toml needs:\n\n${found.toml}`);
      if (dryRun) throw new UserError(`what [env.${env}] lacks; --write adds it`);
      const isMeant = write || (found.toml !== "" && canAsk() && (await isYes("   Add it?")));
      if (!isMeant || found.toml === "") {
        throw new UserError(`Mend [env.${env}] in ${file} first; --write adds what is missing`);
      }
      await writeEnvironment(file, env, found);
      say(`added to ${file}`);
    }
  }
  const config = await readHubConfig(file, env);
  say(`hub: ${config.name ?? "without a name"}`);
  const recorders = urlRecorders(config);
  if (recorders.length === 0) return config;
  throw new UserError(
    `${recorders.join(" and ")} would have URLs recorded, where keys and tickets stand: set\n` +
      "invocation_logs and traces to false, redact_query_string to true",
  );
}

/** Deploys with the secrets; returns where the hub answers, if wrangler says so. */
async function deploy(
  plan: SecretsPlan | null,
  which: readonly string[],
  { acceptLoss, dryRun }: SetupOptions,
  say: Say,
): Promise<string | undefined> {
  if (dryRun) {
    const code = await deployHub([...which, "--dry-run"], wranglerEnv());
    if (code !== 0) throw new UserError("wrangler would not deploy this");
    say("the hub would be deployed");
    return undefined;
  }
  const folder = privateFolder();
  const output = join(folder, "output.ndjson");
  const env = { ...wranglerEnv(), WRANGLER_OUTPUT_FILE_PATH: output };
  const run = (file: string[]): Promise<number> =>
    deployHub([...which, ...file, ...(acceptLoss ? [ACCEPT_LOSS] : [])], env);
  const secrets = plan?.secrets ?? {};
  const code =
    Object.keys(secrets).length === 0
      ? await run([])
      : await withSecretsFile(folder, secrets, (file) => run(["--secrets-file", file]));
  if (code !== 0)
    throw new UserError("wrangler did not deploy it. Once that is mended, run this again");
  return findDeployedUrl(output) ?? undefined;
}

/** Where no new address is known, as for a hub whose routes have patterns. */
function findHubUrl(): string {
  const set = findSetting("HUB_URL", "the environment");
  if (set !== null) return parseHubUrl(`HUB_URL (from ${set.place})`, set.value);
  throw new UserError("Where the hub answers is not known: --url https://HOST says it");
}

function whichOf({ config, env }: SetupOptions): readonly string[] {
  return ["--config", config, ...(env === undefined ? [] : ["--env", env])];
}

main().catch(failWith);
