/**
 * The options of `npm run dev`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "./fail.ts";
import { parsePort } from "./parse-port.ts";
import { refuseSwallowedOptions } from "./refuse-swallowed-options.ts";

/** Where `npm run dev` keeps its state, and where the command line looks for it. */
export const DEFAULT_STATE: string = join(import.meta.dirname, "../../.wspubsub");

/** What `npm run dev` was asked for. */
export interface DevOptions {
  readonly port: number;
  readonly fresh: boolean;
  /** The folder that keeps the database and the objects' storage. */
  readonly state: string;
  readonly help: boolean;
}

/** The text of `--help`. */
export const DEV_HELP = `Usage: npm run dev -- [options]

Starts the hub on this machine: the Worker under wrangler dev, and an embedded
Postgres that has the test key active for the domain "test".

  --port N     the hub's port (default 8787)
  --fresh      begin with an empty database and no topics
  --state DIR  where both are kept (default .wspubsub)
  --help       this text

DATABASE_URL names another database than the embedded one: any Postgres, which
npm run db:apply prepares. ADMIN_TOKEN is the hub's; without it the hub gets a
new one each time. Both come from .dev.vars, else from the environment. npm run
cli finds both by itself.

A folder serves one hub at a time. --fresh deletes nothing in it that is not
ours.`;

const OPTIONS = {
  port: { type: "string", default: "8787" },
  fresh: { type: "boolean", default: false },
  state: { type: "string", default: DEFAULT_STATE },
  help: { type: "boolean", default: false },
} as const;

/** Reads the command line; throws a UserError that names the option at fault. */
export function parseDevOptions(args: string[]): DevOptions {
  refuseSwallowedOptions("dev", Object.keys(OPTIONS), args);
  try {
    const { values } = parseArgs({ args, options: OPTIONS });
    const port = parsePort(values.port);
    if (port === 0)
      throw new UserError("The hub needs a port of its own: give one from 1 to 65535");
    return { port, fresh: values.fresh, state: values.state, help: values.help };
  } catch (error) {
    // parseArgs throws a TypeError whose message names the option.
    if (error instanceof TypeError) throw new UserError(`${error.message}\n\n${DEV_HELP}`);
    throw error;
  }
}
