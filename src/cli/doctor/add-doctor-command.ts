/** `wspubsub doctor`: its arguments, options and help. */
import { Argument, Option, type Command } from "commander";
import { parseHubUrl } from "../find-places.ts";
import { parsed, parseDomainName, parseTopicName } from "../input/arguments.ts";
import {
  addCredentialOptions,
  CREDENTIAL_HELP,
  findCredential,
  findGivenCredential,
  type CredentialOptions,
} from "../messages/credential.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";
import { runDoctor } from "./run-doctor.ts";

interface DoctorOptions extends CredentialOptions {
  readonly domain?: string;
  readonly topic?: string;
}

/** Adds it. */
export function addDoctorCommand(program: Command, session: Session): void {
  const command = program
    .command("doctor")
    .description("find out why a hub cannot be used from here, and what to do about it")
    .addArgument(
      new Argument("[url]", "the hub (default: HUB_URL)").argParser(
        parsed((text) => parseHubUrl(text, "The URL")),
      ),
    )
    .addOption(
      new Option("--domain <domain>", "try a domain: its key, or its token").argParser(
        parsed(parseDomainName),
      ),
    )
    .addOption(new Option("--topic <topic>", "look at a topic").argParser(parsed(parseTopicName)));
  addCredentialOptions(command)
    .action(async (given: string | undefined, options: DoctorOptions) => {
      const { domain = null, topic = null } = options;
      if (topic !== null && domain === null) throw new UsageError("--topic goes with --domain");
      const isOther =
        given !== undefined && session.findHubUrl() !== null && !session.isSetHub(given);
      // What is set is the set hub's, and no other hub's to see.
      const find = isOther ? findGivenCredential : findCredential;
      const credential = await find(session, options, true);
      const hubUrl = given ?? session.hubUrl;
      return runDoctor(session, { hubUrl, domain, topic, credential });
    })
    .addHelpText(
      "after",
      `
Looks at the name, the connection, TLS, the hub, its database, both clocks, a
WebSocket, and what is given: a key, a token, a topic. Each step has a few
seconds. Changes nothing. Ends with 1 if anything is wrong.

ADMIN_TOKEN has the hub say more. What is set goes to the hub of HUB_URL, and to
no other.
${CREDENTIAL_HELP}

Examples:
  wspubsub doctor
  wspubsub doctor https://hub.example.com
  wspubsub doctor --domain example --topic news --json`,
    );
}
