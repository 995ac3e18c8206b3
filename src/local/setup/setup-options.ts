/** The options of `npm run setup`. */
import { parseArgs } from "node:util";
import { DEFAULT_CONFIG } from "../read-hub-config.ts";
import { UserError } from "../fail.ts";

/** The secrets that a hub has. */
export const SECRET_NAMES = ["DATABASE_URL", "ADMIN_TOKEN"] as const;

/** One of them. */
export type SecretName = (typeof SECRET_NAMES)[number];

/** What `npm run setup` was asked for. */
export interface SetupOptions {
  readonly domain: string | undefined;
  readonly env: string | undefined;
  readonly config: string;
  /** The hub gets these secrets, though it has some. */
  readonly replace: ReadonlySet<SecretName>;
  readonly url: string | undefined;
  /** Seconds. */
  readonly wait: number;
  readonly write: boolean;
  readonly makeToken: boolean;
  readonly acceptLoss: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly help: boolean;
}

/** The text of `--help`. */
export const SETUP_HELP = `Usage: npm run setup -- [options]

Deploys the hub to Cloudflare, with its keys in a database at Neon: checks the
database and applies schema.sql, gives the hub its secrets, makes the first key,
deploys, and asks the hub how it is. Safe to run again: what is there stays.

DATABASE_URL and ADMIN_TOKEN come from the environment, else from .dev.vars, and
are never options, which other users of this machine could read. On a terminal
setup asks for what is missing. Without one it says what to set.

  --domain NAME     the domain that gets the first key
  --env NAME        deploy an environment of wrangler.toml, such as staging
  --write           add to wrangler.toml what that environment lacks
  --yes             apply schema.sql without a question
  --replace NAME    give the hub this DATABASE_URL, or this ADMIN_TOKEN, though
                    it has one; may be given twice
  --make-token      make ADMIN_TOKEN where none is set, and print it; a terminal
                    needs no such word
  --accept-loss     deploy though JURISDICTION differs from the deployed hub's
  --url URL         where the hub answers (default: as wrangler says, or HUB_URL)
  --wait SECONDS    how long it may take to answer (default 60)
  --config FILE     another wrangler.toml
  --dry-run         check, say what would be done, and change nothing
  --help            this text

wrangler logs in with a browser. On a machine without one set
CLOUDFLARE_API_TOKEN (and CLOUDFLARE_ACCOUNT_ID, where it opens several
accounts), or run npx wrangler login --browser=false.`;

/** Reads the command line; throws a UserError that names the option at fault. */
export function parseSetupOptions(args: string[]): SetupOptions {
  try {
    const { values } = parseArgs({
      args,
      options: {
        domain: { type: "string" },
        env: { type: "string" },
        config: { type: "string", default: DEFAULT_CONFIG },
        replace: { type: "string", multiple: true, default: [] },
        url: { type: "string" },
        wait: { type: "string", default: "60" },
        write: { type: "boolean", default: false },
        "make-token": { type: "boolean", default: false },
        "accept-loss": { type: "boolean", default: false },
        yes: { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const { domain, env, config, url, write, yes, help } = values;
    return {
      domain,
      env: parseEnvironment(env),
      config,
      replace: new Set(values.replace.map(parseSecretName)),
      url: url === undefined ? undefined : parseHubUrl("--url", url),
      wait: parseWait(values.wait),
      write,
      makeToken: values["make-token"],
      acceptLoss: values["accept-loss"],
      yes,
      dryRun: values["dry-run"],
      help,
    };
  } catch (error) {
    // parseArgs throws a TypeError whose message names the option.
    if (error instanceof TypeError) throw new UserError(`${error.message}\n\n${SETUP_HELP}`);
    throw error;
  }
}

function parseSecretName(text: string): SecretName {
  const name = SECRET_NAMES.find((known) => known === text);
  if (name !== undefined) return name;
  throw new UserError(`--replace takes ${SECRET_NAMES.join(" or ")}`);
}

function parseEnvironment(text: string | undefined): string | undefined {
  if (text === undefined || /^[A-Za-z0-9_-]+$/.test(text)) return text;
  throw new UserError("--env takes a name of letters, digits, - and _");
}

/** The origin of a hub, to which the admin token goes; throws a UserError that names where the text is from. */
export function parseHubUrl(from: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url));
  if (url === null || !isSafe) throw new UserError(`${from} takes https://HOST`);
  return url.origin;
}

function isLoopback({ hostname }: URL): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

function parseWait(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new UserError("--wait takes a number of seconds, up to 9999");
}
