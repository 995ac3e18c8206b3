/**
 * `wspubsub tokens …`: its command, the arguments and help.
 */
import { Option, type Command } from "commander";
import { err, ok, type Result } from "../../core/result.ts";
import { parsed } from "../input/arguments.ts";
import { mintToken, type MintTokenOptions } from "./mint-token.ts";
import { parseExpiry } from "../input/parse-expiry.ts";
import { readOperands } from "./read-operands.ts";
import { parseTopicPattern } from "./parse-topic-pattern.ts";
import type { Session } from "../session.ts";

interface MintOptions extends Omit<MintTokenOptions, "topics" | "actions"> {
  readonly topic: readonly string[];
  readonly publish?: boolean;
  readonly subscribe?: boolean;
}

/** Adds the group. */
export function addTokenCommands(program: Command, session: Session): void {
  program
    .command("tokens")
    .description("tokens let users subscribe or publish without a key")
    .command("mint")
    .description("make a token (JWT) that lets its bearer subscribe, or publish")
    .argument("<domain>", "the domain: before the first --topic, or at the end")
    .argument("[patterns...]", "more of --topic")
    .addOption(
      new Option("--topic <pattern>", "a topic, or a prefix that ends with *; * alone is all")
        .makeOptionMandatory()
        .argParser(collectPatterns),
    )
    .option("--publish", "let its bearer publish, and not subscribe")
    .option("--subscribe", "let its bearer subscribe (the default), with --publish: too")
    .option(
      "--subject <sub>",
      "whose it is (default: nobody else's, made up)",
      parsed(parseSubject),
    )
    .addOption(
      new Option("--expires <when>", "when it ends: 90s, 1h, 30d, 2030-01-31T12:00:00Z")
        .default({ type: "after", seconds: 3600 }, "1h")
        .argParser(parsed(parseExpiry)),
    )
    .option("--issuer <iss>", "who issues it (default: the domain's token_issuer)")
    .option(
      "--private-key <file>",
      "sign with this private JWK (P-256: ES256, Ed25519: EdDSA) and not with the domain's secret",
    )
    .action((first: string, others: readonly string[], options: MintOptions) => {
      const { topic, publish = false, subscribe = !publish, ...rest } = options;
      const { domain, patterns } = readOperands([first, ...others], process.argv);
      const actions = [...(subscribe ? ["subscribe"] : []), ...(publish ? ["publish"] : [])];
      return mintToken(session, domain, { ...rest, actions, topics: [...topic, ...patterns] });
    })
    .addHelpText(
      "after",
      `
Prints the token alone on stdout. Quote a pattern: the shell knows * as well.

Examples:
  wspubsub tokens mint example --topic news
  wspubsub tokens mint example --topic news 'users/7/*' --expires 15m
  wspubsub tokens mint --topic news --topic 'users/7/*' --subject user-7 example
  wspubsub tokens mint example --topic 'users/7/*' --publish --subscribe
  wspubsub tokens mint example --topic '*' --private-key private.jwk`,
    );
}

/** UTF-16 units, as the hub counts them. */
const MAX_SUBJECT_LENGTH = 256;

function parseSubject(text: string): Result<string> {
  return text !== "" && text.length <= MAX_SUBJECT_LENGTH
    ? ok(text)
    : err(`Give 1 to ${MAX_SUBJECT_LENGTH} characters`);
}

function collectPatterns(text: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), parsed(parseTopicPattern)(text)];
}
