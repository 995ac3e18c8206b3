/** `wspubsub pub` and `wspubsub sub`: their arguments, options and help. */
import { Option, type Command } from "commander";
import { err, ok, type Result } from "../../core/result.ts";
import { domainArgument, parsed, parseInteger } from "../input/arguments.ts";
import { waitForTyping } from "../input/wait-for-typing.ts";
import type { Session } from "../session.ts";
import { UsageError } from "../usage-error.ts";
import {
  addCredentialOptions,
  CREDENTIAL_HELP,
  findCredential,
  findSeededKey,
  type CredentialOptions,
} from "./credential.ts";
import type { MessageForm } from "./format-received.ts";
import { readBatches, type SourceOptions } from "./message-source.ts";
import { publishMessages } from "./publish-messages.ts";
import { publishOnce } from "./publish-once.ts";
import { receiveMessages } from "./receive-messages.ts";
import { topicArgument } from "./topic-address.ts";

/** Messages of one publish (PROTOCOL.md, 10.7). */
const MOST_MESSAGES = 1000;
const MOST_COUNT = 999_999_999_999;
/** Seconds; longer ones are `wait` without an end. */
const MOST_WAIT = 31_536_000;

interface PubOptions extends CredentialOptions, SourceOptions {
  readonly id?: string;
  readonly finish?: boolean;
  readonly takeover?: boolean;
}

interface SubOptions extends CredentialOptions {
  readonly since?: string;
  readonly count?: number;
  readonly wait?: number;
  readonly raw?: boolean;
  readonly reconnect: boolean;
}

/** Adds them. */
export function addMessageCommands(program: Command, session: Session): void {
  addPub(program, session);
  addSub(program, session);
}

function addPub(program: Command, session: Session): void {
  const command = program
    .command("pub")
    .description("publish messages to a topic: arguments, else the lines of stdin")
    .addArgument(domainArgument())
    .addArgument(topicArgument())
    .argument("[message...]", "messages; without any, each line of stdin is one")
    .option("--binary", "publish all of stdin as one binary message")
    .addOption(
      new Option("--batch <n>", "publish up to n lines together that are there together").argParser(
        parsed((text) => parseInteger(text, 1, MOST_MESSAGES)),
      ),
    )
    .option("--id <id>", "publish all in one, once, however often it is run", parsed(parseId))
    .option("--finish", "then end the topic: nothing follows")
    .option("--takeover", "displace a publisher that is there");
  addCredentialOptions(command)
    .action(async (domain: string, topic: string, messages: string[], options: PubOptions) => {
      const { id, binary = false, takeover = false, finish = false } = options;
      if (binary && messages.length > 0)
        throw new UsageError("--binary publishes stdin: give no messages");
      if (binary && options.batch !== undefined)
        throw new UsageError("--binary is one message: leave --batch out");
      if (id !== undefined && takeover)
        throw new UsageError("--id displaces nobody: leave --takeover out");
      const isStdinFree = messages.length > 0;
      const address = { hubUrl: session.hubUrl, domain, topic };
      const credential =
        (await findCredential(session, options, isStdinFree)) ?? findSeededKey(session, domain);
      if (!isStdinFree && !binary) waitForTyping(session, "messages, a line each");
      const batches = readBatches(messages, options);
      return id === undefined
        ? publishMessages(session, address, batches, { credential, takeover, finish })
        : publishOnce(session, address, batches, { id, credential, finish });
    })
    .addHelpText(
      "after",
      `
A line is published as it is, without its line feed. It must be UTF-8; --binary
takes anything. Prints nothing, or with --json a line for each publish:
{"cursor","count"}. The command comes back by itself when it is cut off, and
publishes nothing twice. It ends with 1 when the hub refuses a message, or does
not let it in within 10 seconds.

--id makes a run repeatable: the hub publishes an id once for each key. All
messages are then one publish: 1,000 at most, 16 MiB in all.
${CREDENTIAL_HELP}

Examples:
  wspubsub pub example news 'Good morning'
  tail -f events.ndjson | wspubsub pub example events --batch 100
  wspubsub pub example picture --binary < picture.png
  wspubsub pub example export done --id export-2030-01-31 --finish`,
    );
}

function addSub(program: Command, session: Session): void {
  const command = program
    .command("sub")
    .description("print the messages of a topic as they come")
    .addArgument(domainArgument())
    .addArgument(topicArgument())
    .option("--since <since>", "begin in the past: a cursor, earliest, 30s, 5m, 2h, 30d, or -N")
    .addOption(
      new Option("--count <n>", "end after n messages").argParser(
        parsed((text) => parseInteger(text, 1, MOST_COUNT)),
      ),
    )
    .addOption(
      new Option(
        "--wait <seconds>",
        "wait so long for a topic that is not live; 0 not at all (default: for ever)",
      ).argParser(parsed((text) => parseInteger(text, 0, MOST_WAIT))),
    )
    .option("--no-reconnect", "end with 1 when it is cut off")
    .option("--raw", "print messages as they are, and no line feed between them");
  addCredentialOptions(command)
    .action(async (domain: string, topic: string, options: SubOptions) => {
      const { since, count, wait: waitSeconds, reconnect: reconnects } = options;
      const form = chooseForm(session, options.raw === true);
      const address = { hubUrl: session.hubUrl, domain, topic };
      const credential = await findCredential(session, options, true);
      return receiveMessages(session, address, {
        credential,
        form,
        count,
        reconnects,
        since,
        waitSeconds,
      });
    })
    .addHelpText(
      "after",
      `
Prints each message and a line feed, text and binary alike. --raw leaves the
line feed out, for a binary message that goes to a file. --json prints an object
in a line: {"data","cursor","at"}, or {"base64","cursor","at"} for a binary one.
A terminal is shown text alone, and what it would obey is spelled out. A file or
a pipe gets nothing but the messages: gaps, cuts and the end are told on stderr.

It ends with 0 when the topic is finished, when --count is reached, and when
nobody reads the pipe any more. A topic that was abandoned is waited for.
${CREDENTIAL_HELP}

Examples:
  wspubsub sub example news
  wspubsub sub example news --since -10 --count 10 --json
  wspubsub sub example picture --raw --count 1 > picture.png
  wspubsub sub example build --since earliest --wait 60 --no-reconnect`,
    );
}

function chooseForm(session: Session, isRaw: boolean): MessageForm {
  if (isRaw && session.isJson) throw new UsageError("Give --raw or --json, not both");
  if (session.isJson) return "json";
  if (isRaw) return "raw";
  return process.stdout.isTTY ? "terminal" : "lines";
}

function parseId(text: string): Result<string> {
  return /^[!-~]{1,64}$/.test(text) ? ok(text) : err("Give 1 to 64 printable ASCII characters");
}
