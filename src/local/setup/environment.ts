/**
 * wrangler's named environments (`--env staging`): they inherit no bindings, so each needs the hub's own, and some that
 * differ from the other hub's. Writes by appending only: what somebody wrote stays as it is.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { UserError } from "../fail.ts";
import { readHubConfig, type HubConfig } from "../read-hub-config.ts";

/** What an environment lacks: sentences for people, and what to add to wrangler.toml, if adding helps. */
export interface EnvironmentFaults {
  readonly faults: readonly string[];
  readonly toml: string;
}

/** Compares an environment with the hub's own settings. */
export async function checkEnvironment(file: string, env: string): Promise<EnvironmentFaults> {
  const hub = await readHubConfig(file, undefined);
  if (!hub.definedEnvironments.includes(env)) {
    const all = missingFrom(file, env, hub, null);
    // Unlike bindings routes are inherited: it would take the other hub's address.
    const head = hub.routes.length === 0 ? `[env.${env}]\n` : `[env.${env}]\nroutes = []\n`;
    return { faults: [`There is no [env.${env}]`], toml: `${head}\n${all.toml}` };
  }
  const other = await readHubConfig(file, env);
  const missing = missingFrom(file, env, hub, other);
  return { faults: [...missing.faults, ...clashes(hub, other)], toml: missing.toml };
}

/** Appends what is missing; throws a UserError, and leaves the file as it was, where that does not mend it. */
export async function writeEnvironment(
  file: string,
  env: string,
  { toml }: EnvironmentFaults,
): Promise<void> {
  const before = readFileSync(file, "utf8");
  writeFileSync(
    file,
    `${before.trimEnd()}\n\n# Another hub, with keys and objects of its own.\n${toml}`,
  );
  let left: string;
  try {
    left = (await checkEnvironment(file, env)).faults.join("\n");
  } catch (error) {
    // What was there does not go together with what was added, an inline table say.
    if (!(error instanceof UserError)) throw error;
    left = error.message;
  }
  if (left === "") return;
  writeFileSync(file, before);
  throw new UserError(
    `Cannot add to ${file} what [env.${env}] lacks, do so by hand: ${left}\n\n${toml}`,
  );
}

/** What of the settings would have request URLs recorded, where keys and tickets stand; `[]`: nothing. */
export function urlRecorders({ observability }: HubConfig): readonly string[] {
  const { enabled, logs, traces, redact_query_string } = observability;
  const hasLogs = logs?.enabled ?? enabled ?? false;
  return [
    ...(hasLogs && logs?.invocation_logs !== false ? ["observability.logs.invocation_logs"] : []),
    ...((traces?.enabled ?? enabled ?? false) ? ["observability.traces.enabled"] : []),
    ...(hasLogs && redact_query_string !== true ? ["observability.redact_query_string"] : []),
  ];
}

function missingFrom(
  file: string,
  env: string,
  hub: HubConfig,
  other: HubConfig | null,
): EnvironmentFaults {
  const objects = hub.durable_objects.bindings.filter(
    ({ name, class_name }) =>
      other?.durable_objects.bindings.some(
        (binding) => binding.name === name && binding.class_name === class_name,
      ) !== true,
  );
  const limits = hub.ratelimits.filter(
    ({ name }) => other?.ratelimits.some((limit) => limit.name === name) !== true,
  );
  const vars = Object.entries(hub.vars).filter(([name]) => !(name in (other?.vars ?? {})));
  const secrets = hub.secrets.required.filter(
    (name) => other?.secrets.required.includes(name) !== true,
  );
  const firstId = 1 + Math.max(...namespaceIds(file));
  const blocks = [
    ...objects.map(
      ({ name, class_name }) => `[[env.${env}.durable_objects.bindings]]
name = "${name}"
class_name = "${class_name}"
`,
    ),
    ...limits.map(
      ({ name, simple }, index) => `[[env.${env}.ratelimits]]
name = "${name}"
namespace_id = "${firstId + index}"
simple = { limit = ${simple.limit}, period = ${simple.period} }
`,
    ),
    ...(vars.length === 0
      ? []
      : [`[env.${env}.vars]\n${vars.map(([name]) => `${name} = ""\n`).join("")}`]),
    ...(secrets.length === 0
      ? []
      : [`[env.${env}.secrets]\nrequired = ${JSON.stringify(hub.secrets.required)}\n`]),
  ];
  const names = [...objects, ...limits].map(({ name }) => name);
  const all = [...names, ...vars.map(([name]) => name), ...secrets];
  return {
    faults: all.map((name) => `[env.${env}] lacks ${name}: environments inherit no bindings`),
    toml: blocks.join("\n"),
  };
}

/** What the two hubs must not have in common. */
function clashes(hub: HubConfig, other: HubConfig): readonly string[] {
  const sharedLimits = other.ratelimits.filter(({ namespace_id }) =>
    hub.ratelimits.some((limit) => limit.namespace_id === namespace_id),
  );
  return [
    ...(other.name === hub.name ? [`Its name is ${hub.name}: it would replace that hub`] : []),
    ...other.routes
      .filter((route) => hub.routes.includes(route))
      .map(
        (route) => `${route} is the other hub's: give [env.…] routes of its own, or routes = []`,
      ),
    ...sharedLimits.map(
      ({ name, namespace_id }) =>
        `${name} has namespace_id ${namespace_id}, whose counter the other hub uses`,
    ),
    ...other.durable_objects.bindings
      .filter(({ script_name }) => script_name !== undefined)
      .map(({ name }) => `${name} has a script_name: its objects would be the other hub's`),
  ];
}

/** Those of all environments. */
function namespaceIds(file: string): readonly number[] {
  const found = readFileSync(file, "utf8").matchAll(/namespace_id\s*=\s*["'](\d+)["']/g);
  return [1000, ...Array.from(found, ([, id]) => Number(id))];
}
