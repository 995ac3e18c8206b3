/**
 * `wspubsub topics …`: its commands, their arguments and help.
 */
import { Argument, Option, type Command } from "commander";
import { domainArgument, parsed, parseInteger, parseTopicName } from "../input/arguments.ts";
import { endTopic } from "./end-topic.ts";
import { forgetMessages } from "./forget-messages.ts";
import { listSockets } from "./list-sockets.ts";
import { listTopics, type ListTopicsOptions } from "./list-topics.ts";
import type { Session } from "../session.ts";
import { showTopic } from "./show-topic.ts";
import { UsageError } from "../usage-error.ts";

/** What the hub gives at most in one page. */
const MOST_TOPICS = 1000;
const MOST_SOCKETS = 1000;

interface ShowTopicOptions {
  readonly sockets?: boolean;
  readonly limit?: number;
}

/** Adds the group. */
export function addTopicCommands(program: Command, session: Session): void {
  const topics = program
    .command("topics")
    .description("topics as the hub has them: list, show, end, forget");

  topics
    .command("list")
    .description("list the topics of a domain that are there now")
    .addArgument(domainArgument())
    .addOption(
      new Option("--limit <n>", "at most so many; 1 to 1000 (default: 100)").argParser(
        parsed((text) => parseInteger(text, 1, MOST_TOPICS)),
      ),
    )
    .addOption(new Option("--after <topic>", "begin after it").argParser(parsed(parseTopicName)))
    .action((domain: string, options: ListTopicsOptions) => listTopics(session, domain, options))
    .addHelpText(
      "after",
      `
Examples:
  wspubsub topics list example
  wspubsub topics list example --limit 100 --after news --json`,
    );

  topics
    .command("show")
    .description("show a topic: its phase, how many publish, how many subscribe")
    .addArgument(domainArgument())
    .addArgument(new Argument("<topic>", "the topic").argParser(parsed(parseTopicName)))
    .option("--sockets", "list each socket: publishers first, then those farthest behind")
    .addOption(
      new Option("--limit <n>", "at most so many sockets; 1 to 1000 (default: 100)").argParser(
        parsed((text) => parseInteger(text, 1, MOST_SOCKETS)),
      ),
    )
    .action((domain: string, topic: string, { sockets, limit }: ShowTopicOptions) => {
      if (sockets === true) return listSockets(session, { domain, topic, limit });
      if (limit !== undefined) throw new UsageError("--limit goes with --sockets");
      return showTopic(session, domain, topic);
    })
    .addHelpText(
      "after",
      `
Examples:
  wspubsub topics show example news
  wspubsub topics show example news --sockets --limit 20`,
    );

  topics
    .command("end")
    .description(
      "end a topic: its publishers are closed for good, its subscribers get what they are owed",
    )
    .addArgument(domainArgument())
    .addArgument(new Argument("<topic>", "the topic").argParser(parsed(parseTopicName)))
    .action((domain: string, topic: string) => endTopic(session, domain, topic))
    .addHelpText(
      "after",
      `
Its history is kept as the policy says. Any publisher can start it again.

Example:
  wspubsub topics end example news`,
    );

  topics
    .command("forget")
    .description("forget what was published on a topic; its sockets stay, and go on")
    .addArgument(domainArgument())
    .addArgument(new Argument("<topic>", "the topic").argParser(parsed(parseTopicName)))
    .action((domain: string, topic: string) => forgetMessages(session, domain, topic))
    .addHelpText(
      "after",
      `
Readers of its past are told that something is missing. What is sent again is
published again. SECURITY.md says for how long Cloudflare can restore it.

Example:
  wspubsub topics forget example news`,
    );
}
