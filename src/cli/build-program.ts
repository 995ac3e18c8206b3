/**
 * The command line as a whole: its groups of commands and the options that all of them have.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import * as v from "valibot";
import { addDoctorCommand } from "./doctor/add-doctor-command.ts";
import { addDomainCommands } from "./domains/add-domain-commands.ts";
import { addKeyCommands } from "./keys/add-key-commands.ts";
import { addLatencyCommand } from "./latency/add-latency-command.ts";
import { addMessageCommands } from "./messages/add-message-commands.ts";
import { addTokenCommands } from "./tokens/add-token-commands.ts";
import { addTopicCommands } from "./topics/add-topic-commands.ts";
import type { Output } from "./output/output.ts";
import { printableLines } from "./output/printable.ts";
import { Session } from "./session.ts";

const AFTER_HELP = `
Keys, domains and tokens are in Postgres (DATABASE_URL). Topics are the hub's
(HUB_URL and ADMIN_TOKEN). The hub also tells live topics of a change at once.
Each of these comes from the environment, else from .dev.vars, else from the hub
that npm run dev runs in this checkout. Postgres and the hub have 10 seconds
each. Messages need HUB_URL, and a key or a token: WSPUBSUB_KEY or
WSPUBSUB_TOKEN.

Exit codes: 0 done, 1 could not be done, 2 wrong usage.

Examples:
  wspubsub keys create example --username you@example.com
  wspubsub domains set example --publishers shared --history-messages 1000
  wspubsub topics list example --json
  wspubsub pub example news 'Good morning'
  wspubsub sub example news --since -10`;

/** Builds it; parsing throws a CommanderError, a UsageError or a UserError. */
export function buildProgram(output: Output): Command {
  const program = new Command("wspubsub")
    .description("Runs a wspubsub hub's keys, domains, tokens and topics, and moves messages.")
    .option("--json", "print JSON on stdout and nothing else there")
    .option("--state <dir>", "where npm run dev keeps its state (default: .wspubsub)")
    .version(readVersion())
    .addHelpText("after", AFTER_HELP)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => output.print(text),
      writeErr: (text) => output.note(text),
      outputError: (text, write) => write(printableLines(withoutValues(text))),
    })
    .showHelpAfterError("(--help says more)");
  const session = new Session(program, output);
  addKeyCommands(program, session);
  addDomainCommands(program, session);
  addTokenCommands(program, session);
  addTopicCommands(program, session);
  addMessageCommands(program, session);
  addLatencyCommand(program, session);
  addDoctorCommand(program, session);
  return program;
}

/** Commander's complaints without what was typed, which may be a key in the wrong place; names of options stay. */
function withoutValues(complaint: string): string {
  return complaint
    .replace(/ argument '.*' is invalid\./s, " is invalid.")
    .replace(/command-argument value '.*' is invalid for argument '(\w+)'\./s, "'$1' is invalid.")
    .replace(/(unknown option '-[^'=]*)=[^]*'/, "$1'")
    .replace(/(too many arguments.*? but got \d+): [^]*\./, "$1.");
}

function readVersion(): string {
  const file = join(import.meta.dirname, "../../package.json");
  return v.parse(v.object({ version: v.string() }), JSON.parse(readFileSync(file, "utf8"))).version;
}

/** The long names of all options of a program and its commands. */
export function listOptions(program: Command): string[] {
  // npm knows `--no-reconnect` as a "reconnect" that is false.
  const own = program.options.map((option) => option.name().replace(/^no-/, ""));
  return [...new Set([...own, ...program.commands.flatMap(listOptions)])];
}
