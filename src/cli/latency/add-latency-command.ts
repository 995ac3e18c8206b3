/** `wspubsub latency`: its arguments, options and help. */
import { Argument, Option, type Command } from "commander";
import { domainArgument, parsed, parseInteger, parseTopicName } from "../input/arguments.ts";
import {
  addCredentialOptions,
  CREDENTIAL_HELP,
  findCredential,
  findSeededKey,
  type CredentialOptions,
} from "../messages/credential.ts";
import type { Session } from "../session.ts";
import { measureLatency } from "./measure-latency.ts";

const MOST_COUNT = 100_000;
const MOST_RATE = 1000;
const DEFAULT_COUNT = 100;
const DEFAULT_RATE = 20;

interface LatencyCommandOptions extends CredentialOptions {
  readonly count: number;
  readonly rate: number;
}

/** Adds it. */
export function addLatencyCommand(program: Command, session: Session): void {
  const command = program
    .command("latency")
    .description("measure how long messages take from a publisher to a subscriber, both here")
    .addArgument(domainArgument())
    .addArgument(
      new Argument("[topic]", "the topic (default: one of its own, latency-…)").argParser(
        parsed(parseTopicName),
      ),
    )
    .addOption(
      new Option("--count <n>", `messages that are measured, 1 to ${MOST_COUNT}`)
        .default(DEFAULT_COUNT)
        .argParser(parsed((text) => parseInteger(text, 1, MOST_COUNT))),
    )
    .addOption(
      new Option("--rate <n>", `messages a second, 1 to ${MOST_RATE}`)
        .default(DEFAULT_RATE)
        .argParser(parsed((text) => parseInteger(text, 1, MOST_RATE))),
    );
  addCredentialOptions(command)
    .action(async (domain: string, topic: string | undefined, options: LatencyCommandOptions) => {
      const { count, rate } = options;
      const name = topic ?? `latency-${crypto.randomUUID()}`;
      const address = { hubUrl: session.hubUrl, domain, topic: name };
      const credential =
        (await findCredential(session, options, true)) ?? findSeededKey(session, domain);
      return measureLatency(session, address, {
        credential,
        count,
        rate,
        isOwnTopic: topic === undefined,
      });
    })
    .addHelpText(
      "after",
      `
Ten messages go before those that are measured. A topic of its own is ended
afterwards, and with ADMIN_TOKEN its messages are forgotten. On a topic that is
given the messages stay, and its subscribers get them.
${CREDENTIAL_HELP}

Examples:
  wspubsub latency example
  wspubsub latency example news --count 1000 --rate 200 --json`,
    );
}
