/**
 * `wspubsub keys …`: its commands, their arguments and help.
 */
import { Option, type Command } from "commander";
import { err, ok, type Result } from "../../core/result.ts";
import { domainArgument, keyArgument, parseDomainName, parsed } from "../input/arguments.ts";
import { createKey, type CreateKeyOptions } from "./create-key.ts";
import { importKey } from "./import-key.ts";
import { listKeys } from "./list-keys.ts";
import { parseDuration } from "../input/parse-duration.ts";
import { parseExpiry } from "../input/parse-expiry.ts";
import { revokeKey, type RevokeKeyOptions } from "./revoke-key.ts";
import { rotateKey, type RotateKeyOptions } from "./rotate-key.ts";
import type { Session } from "../session.ts";
import { switchKey } from "./switch-key.ts";

/** Adds the group. */
export function addKeyCommands(program: Command, session: Session): void {
  const keys = program.command("keys").description("the keys of a domain: each opens all of it");

  keys
    .command("create")
    .description("make a key of a domain; it is shown once, only its hash is stored")
    .addArgument(domainArgument())
    .addOption(usernameOption())
    .addOption(expiresOption())
    .addOption(inactiveOption())
    .action((domain: string, options: CreateKeyOptions) => createKey(session, domain, options))
    .addHelpText(
      "after",
      `
Prints the key alone on stdout.

Examples:
  wspubsub keys create example --username you@example.com
  wspubsub keys create example --expires 30d
  wspubsub keys create example --expires 2030-01-31 --inactive --json`,
    );

  keys
    .command("import")
    .description("store a key that somebody has already, from stdin; only its hash is stored")
    .addArgument(domainArgument())
    .addOption(usernameOption())
    .addOption(expiresOption())
    .addOption(inactiveOption())
    .action((domain: string, options: CreateKeyOptions) => importKey(session, domain, options))
    .addHelpText(
      "after",
      `
The key is never an argument: others see those in the list of processes. A line
end after it is no part of it. A key opens one domain only.

Examples:
  wspubsub keys import example < key.txt
  wspubsub keys import example --username you@example.com --inactive < key.txt`,
    );

  keys
    .command("list")
    .description("list the keys of a domain, or of all domains")
    .addArgument(domainArgument().argOptional())
    .action((domain: string | undefined) => listKeys(session, domain ?? null))
    .addHelpText(
      "after",
      `
USED is the day on which the key was last used (UTC): a socket was opened with
it, or a message was published on a topic that has a socket of the key.

Examples:
  wspubsub keys list
  wspubsub keys list example --json`,
    );

  keys
    .command("rotate")
    .description("make a key in place of another, which goes on working for a while")
    .addArgument(keyArgument())
    .addOption(
      new Option("--overlap <time>", "how long the old key goes on working")
        .default(3600, "1h")
        .argParser(parsed(parseDuration)),
    )
    .addOption(expiresOption())
    .option("--force", "also where the old key is expired or inactive: the new one is live")
    .action((id: number, options: RotateKeyOptions) => rotateKey(session, id, options))
    .addHelpText(
      "after",
      `
Prints the new key alone on stdout. A key that opens nothing is not rotated: it
was switched off, or has ended, and the new one would be live.

Examples:
  wspubsub keys rotate 3
  wspubsub keys rotate 3 --overlap 2d --expires 90d
  wspubsub keys rotate 3 --overlap 0s
  wspubsub keys rotate 3 --force`,
    );

  keys
    .command("revoke")
    .description("revoke a key for good, and close its sockets at once")
    .addArgument(keyArgument())
    .option(
      "--domain <domain>",
      "whose key it is: the hub then revokes it where Postgres does not answer",
      parsed(parseDomainName),
    )
    .action((id: number, options: RevokeKeyOptions) => revokeKey(session, id, options))
    .addHelpText(
      "after",
      `
Postgres has 10 seconds to answer. If it does not, and --domain is given, the
hub is asked (HUB_URL and ADMIN_TOKEN). Where it cannot reach Postgres either,
it closes the key's sockets and holds the revocation until Postgres has it.

Examples:
  wspubsub keys revoke 3
  wspubsub keys revoke 3 --domain example`,
    );

  keys
    .command("activate")
    .description("switch a key on")
    .addArgument(keyArgument())
    .action((id: number) => switchKey(session, id, true))
    .addHelpText("after", "\nExample:\n  wspubsub keys activate 3");

  keys
    .command("deactivate")
    .description("switch a key off, and close its sockets at once; keys activate undoes it")
    .addArgument(keyArgument())
    .action((id: number) => switchKey(session, id, false))
    .addHelpText("after", "\nExample:\n  wspubsub keys deactivate 3");
}

function usernameOption(): Option {
  return new Option("--username <name>", "whose it is, for people to know").argParser(
    parsed(parseUsername),
  );
}

function inactiveOption(): Option {
  return new Option("--inactive", "it opens nothing until keys activate");
}

function expiresOption(): Option {
  return new Option(
    "--expires <when>",
    "when the new key ends: 12h, 30d, 2030-01-31, 2030-01-31T12:00:00Z (default: never)",
  ).argParser(parsed(parseExpiry));
}

/** Code points; the width of `apikeys.username` in schema.sql. */
const MAX_USERNAME_LENGTH = 254;

function parseUsername(text: string): Result<string> {
  if (text === "" || /\p{Cc}/u.test(text)) return err("Give a name without control characters");
  return Array.from(text).length <= MAX_USERNAME_LENGTH
    ? ok(text)
    : err(`At most ${MAX_USERNAME_LENGTH} characters are allowed`);
}
