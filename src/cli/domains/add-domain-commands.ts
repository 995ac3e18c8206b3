/**
 * `wspubsub domains …`: its commands, their arguments and help. `set` has one option for each column of the policy.
 */
import { Option, type Command } from "commander";
import { domainArgument, parsed } from "../input/arguments.ts";
import { parseDuration } from "../input/parse-duration.ts";
import { parseExpiry } from "../input/parse-expiry.ts";
import { POLICY_COLUMNS, type PolicyColumn } from "./policy-column.ts";
import type { Session } from "../session.ts";
import { rotateSecret, type RotateSecretOptions } from "./rotate-secret.ts";
import { setDomain, type BoxedValue, type SetDomainOptions } from "./set-domain.ts";
import { showDomain } from "./show-domain.ts";

/** Adds the group. */
export function addDomainCommands(program: Command, session: Session): void {
  const domains = program.command("domains").description("what a domain allows");

  domains
    .command("show")
    .description("show the policy of a domain; secrets are never shown")
    .addArgument(domainArgument())
    .action((domain: string) => showDomain(session, domain))
    .addHelpText(
      "after",
      `
Examples:
  wspubsub domains show example
  wspubsub domains show example --json`,
    );

  const set = domains
    .command("set")
    .description("change the policy of a domain; the rest stays as it is")
    .addArgument(domainArgument());
  for (const column of POLICY_COLUMNS) set.addOption(columnOption(column));
  set
    .option("--token-secret <how>", "new: make one and show it once; -: read it from stdin; none")
    .option(
      "--token-keys <file>",
      "a JWK Set of public keys (P-256, Ed25519) that sign tokens; none",
    )
    .action((domain: string, options: SetDomainOptions) => setDomain(session, domain, options))
    .addHelpText(
      "after",
      `
The hub tells live topics at once (HUB_URL and ADMIN_TOKEN). Where it cannot be
reached, a live topic follows within 60 seconds of use, and a vacant one when a
publisher starts it. History is off while --history-messages and
--history-seconds are both 0.

Examples:
  wspubsub domains set example --publishers shared --grace-seconds 5
  wspubsub domains set example --max-subscribers none
  wspubsub domains set example --subscribers token --token-secret new
  wspubsub domains set example --token-keys jwks.json

A new --token-secret ends the old one: its tokens are refused within 15 seconds.
domains rotate-secret lets both sign for a while. A key in the JWK Set ends at
its "exp" (in seconds since 1970).`,
    );

  domains
    .command("rotate-secret")
    .description("make a new token secret; the old one goes on signing for a while")
    .addArgument(domainArgument())
    .addOption(
      new Option("--overlap <time>", "how long the old secret goes on signing")
        .default(3600, "1h")
        .argParser(parsed(parseDuration)),
    )
    .addOption(
      new Option("--expires <when>", "when the new secret ends (default: never)").argParser(
        parsed(parseExpiry),
      ),
    )
    .action((domain: string, options: RotateSecretOptions) =>
      rotateSecret(session, domain, options),
    )
    .addHelpText(
      "after",
      `
Prints the new secret alone on stdout. The hub takes its tokens at once. Let the
overlap be longer than your tokens live: sockets that are open stay.

Examples:
  wspubsub domains rotate-secret example
  wspubsub domains rotate-secret example --overlap 2d --expires 90d
  wspubsub domains rotate-secret example --overlap 0s`,
    );
}

function columnOption({ name, form, purpose, parse }: PolicyColumn): Option {
  return new Option(`--${name.replaceAll("_", "-")} <${form}>`, purpose).argParser(
    // Boxed: commander takes a bare null for no value at all.
    (text: string): BoxedValue => ({ value: parsed(parse)(text) }),
  );
}
