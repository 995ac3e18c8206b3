/**
 * Which secrets the hub is given. Invariant: what it has stays, unless somebody says that it is to be replaced.
 */
import * as v from "valibot";
import { makeSecret } from "../../cli/make-secret.ts";
import { canAsk } from "../ask.ts";
import { UserError } from "../fail.ts";
import { findAdminToken } from "../find-admin-token.ts";
import { askWrangler } from "../wrangler.ts";
import { show, type Say } from "./say.ts";
import type { SecretName, SetupOptions } from "./setup-options.ts";

/** What goes along with the deployment. */
export interface SecretsPlan {
  readonly secrets: Readonly<Partial<Record<SecretName, string>>>;
  /** With which the hub can be asked; `null`: it has one that is not known here. */
  readonly adminToken: string | null;
}

const SecretsSchema = v.array(v.object({ name: v.string() }));

/** Decides; `which` are wrangler's options that choose the Worker. */
export async function planSecrets(
  databaseUrl: string,
  which: readonly string[],
  options: SetupOptions,
  say: Say,
): Promise<SecretsPlan> {
  const deployed = await findSecretNames(which);
  if (deployed === null) say("no hub is deployed yet");
  const keeps = (name: SecretName): boolean =>
    deployed?.has(name) === true && !options.replace.has(name);
  say(
    keeps("DATABASE_URL")
      ? "DATABASE_URL: the hub has one and keeps it (--replace DATABASE_URL gives it this one)"
      : "DATABASE_URL: the hub gets the one above",
  );
  const database = keeps("DATABASE_URL") ? {} : { DATABASE_URL: databaseUrl };
  const set = findAdminToken();
  if (keeps("ADMIN_TOKEN")) {
    say("ADMIN_TOKEN: the hub has one and keeps it (--replace ADMIN_TOKEN gives it another)");
    return { secrets: database, adminToken: set };
  }
  if (set !== null) say("ADMIN_TOKEN: the hub gets the one that is set here");
  const token = set ?? (await makeToken(options, say));
  return { secrets: { ...database, ADMIN_TOKEN: token }, adminToken: token };
}

/** Shown before the hub has it: what nobody saw is given to nobody. */
async function makeToken({ makeToken: isMeant, dryRun }: SetupOptions, say: Say): Promise<string> {
  if (!isMeant && !canAsk()) {
    throw new UserError(
      "ADMIN_TOKEN is missing: put one into the environment, 32 characters at least, or let one be\n" +
        "made and printed by --make-token",
    );
  }
  const token = makeSecret();
  if (dryRun) {
    say("ADMIN_TOKEN: one would be made and shown once");
    return token;
  }
  say("ADMIN_TOKEN: a new one. It is shown this once and never again, the command line needs it:");
  if (await show(`ADMIN_TOKEN=${token}`)) return token;
  throw new UserError("ADMIN_TOKEN could not be shown, so it is not used. Nothing was deployed");
}

/** `null`: there is no such Worker. */
async function findSecretNames(which: readonly string[]): Promise<ReadonlySet<string> | null> {
  const answer = await askWrangler(["secret", "list", "--format", "json", ...which]);
  if (answer.type === "nothing") return null;
  const secrets = v.safeParse(SecretsSchema, answer.type === "json" ? answer.value : null);
  if (secrets.success) return new Set(secrets.output.map(({ name }) => name));
  const reason = answer.type === "unknown" ? answer.reason : "wrangler did not say";
  throw new UserError(`Cannot tell which secrets the hub has: ${reason}`);
}
