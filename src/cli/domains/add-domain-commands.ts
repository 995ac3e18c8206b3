/**
 * `wspubsub domains …`: its commands, their arguments and help. `set` has one option for each column.
 */
import { Option, type Command } from "commander";
import { domainArgument, parsed } from "../input/arguments.ts";
import { POLICY_COLUMNS, type PolicyColumn } from "./policy-column.ts";
import type { Session } from "../session.ts";
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
told, a live topic finds out within 60 seconds of use, and others when their
next publisher connects.

Examples:
  wspubsub domains set example --publishers shared --grace-seconds 5
  wspubsub domains set example --max-subscribers none
  wspubsub domains set example --subscribers token --token-secret new
  wspubsub domains set example --token-keys jwks.json --token-issuer https://id.example.com`,
    );
}

function columnOption({ name, form, purpose, parse }: PolicyColumn): Option {
  return new Option(`--${name.replaceAll("_", "-")} <${form}>`, purpose).argParser(
    // Boxed: commander takes a bare null for no value at all.
    (text: string): BoxedValue => ({ value: parsed(parse)(text) }),
  );
}
