/**
 * The command line as a whole: its groups of commands and the options that all of them have.
 */
import { Command } from "commander";
import { addDomainCommands } from "./domains/add-domain-commands.ts";
import { addKeyCommands } from "./keys/add-key-commands.ts";
import { addTokenCommands } from "./tokens/add-token-commands.ts";
import { addTopicCommands } from "./topics/add-topic-commands.ts";
import { Session } from "./session.ts";

const AFTER_HELP = `
Keys, domains and tokens are in Postgres (DATABASE_URL); topics, and making a
change true at once for live ones, are the hub's (HUB_URL and ADMIN_TOKEN). Each
is taken from the environment, else from .dev.vars, else from the hub that
npm run dev runs in this checkout. Either has 10 seconds to answer.

Exit codes: 0 done, 1 could not be done, 2 wrong usage.

Examples:
  wspubsub keys create example --username you@example.com
  wspubsub domains set example --publishers shared --history-messages 1000
  wspubsub topics list example --json`;

/** Builds it; parsing throws a CommanderError, a UsageError or a UserError. */
export function buildProgram(): Command {
  const program = new Command("wspubsub")
    .description("Runs a wspubsub hub's keys, domains, tokens and topics.")
    .option("--json", "print JSON on stdout and nothing else there")
    .option("--state <dir>", "where npm run dev keeps its state (default: .wspubsub)")
    .addHelpText("after", AFTER_HELP)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(--help says more)");
  const session = new Session(program);
  addKeyCommands(program, session);
  addDomainCommands(program, session);
  addTokenCommands(program, session);
  addTopicCommands(program, session);
  return program;
}

/** The long names of all options of a program and its commands. */
export function listOptions(program: Command): string[] {
  const own = program.options.map((option) => option.name());
  return [...new Set([...own, ...program.commands.flatMap(listOptions)])];
}
