/** The options of `npm run build`. */
import { parseArgs } from "node:util";
import { UserError } from "../fail.ts";
import { refuseSwallowedOptions } from "../refuse-swallowed-options.ts";

/** What `npm run build` was asked for. */
export interface BuildOptions {
  /** Where pages find the hub. */
  readonly hub: URL;
  readonly json: boolean;
  /** Only what the Worker serves. */
  readonly client: boolean;
  readonly help: boolean;
}

/** The text of `--help`. */
export const BUILD_HELP = `Usage: npm run build -- [options]

Builds the client library and the command line into dist. npm run dev, deploy,
test and npm pack do so by themselves. Prints the line that pins this version of
the library in a page: the browser then takes no other one.

  --hub URL  where the hub is, for that line (default https://hub.example.com)
  --client   the library alone, which is what the hub serves, and no such line
  --json     print JSON on stdout and nothing else there
  --help     this text`;

const OPTIONS = {
  hub: { type: "string", default: "https://hub.example.com" },
  client: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** Reads the command line; throws a UserError that names the option at fault. */
export function parseBuildOptions(args: string[]): BuildOptions {
  refuseSwallowedOptions("build", Object.keys(OPTIONS), args);
  try {
    const { values } = parseArgs({ args, options: OPTIONS });
    return { ...values, hub: parseHub(values.hub) };
  } catch (error) {
    // parseArgs throws a TypeError whose message names the option.
    if (error instanceof TypeError) throw new UserError(`${error.message}\n\n${BUILD_HELP}`);
    throw error;
  }
}

function parseHub(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new UserError("--hub takes a URL that begins with https:// or http://");
}
