/** The simulator's command line. */
import { parseArgs } from "node:util";
import { refuseSwallowedOptions } from "../../src/local/refuse-swallowed-options.ts";

/** What scenarios can be about. */
const KINDS = ["messages", "operator"] as const;

/** What to simulate. */
export interface Options {
  readonly kind: (typeof KINDS)[number];
  readonly seed: number;
  readonly steps: number;
  /** The scenario of that seed to replay, as a report named it; `null` runs them all. */
  readonly path: string | null;
}

export const HELP = `Usage: npm run simulate -- [options]

Runs made-up scenarios in workerd, over real WebSockets. Those of "messages" have one topic: publishers and
subscribers come, go, send again and read slowly, over sockets and by HTTP, while the object is evicted,
restarted and killed, and the topic is finished and deleted. Every subscriber must see an unbroken part of
the log and hear how it ended, and nothing that was acknowledged may be lost or doubled.
Those of "operator" have a domain with a few topics: keys are switched off and on, prolonged, shortened and
revoked, the policy changes, and the key store, the domain and the topics fail. What was changed must hold,
older news must undo nothing, and nothing may be left behind.

Options:
  --kind K   "messages" (default) or "operator"
  --seed N   the first seed (default: a new one, which is printed)
  --steps N  go on from seed to seed until so many actions are done (default 20000)
  --path P   replay one scenario of the seed: a report of a failure names it
  --help     this text

A scenario that fails is made smaller as long as it still fails; a minute later the report says what was
broken, the clause of PROTOCOL.md, the course of events, and the command that replays it. The choices are
the same in every replay, the runtime's timing is not: a race may need several.

Exit codes: 0 fine; 1 a promise was broken; 2 a wrong option.
`;

const OPTIONS = {
  kind: { type: "string", default: "messages" },
  seed: { type: "string" },
  steps: { type: "string", default: "20000" },
  path: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

/** Reads the arguments; "help" when only the help is wanted. Throws with a sentence for the user. */
export function parseOptions(args: readonly string[]): Options | "help" {
  refuseSwallowedOptions("simulate", Object.keys(OPTIONS), args);
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return "help";
  if (values.path !== undefined && values.seed === undefined) {
    throw new Error("--path needs the --seed that it belongs to");
  }
  if (values.path !== undefined && !/^\d+(:\d+)*$/.test(values.path)) {
    throw new Error(`--path needs numbers with colons in between, not "${values.path}"`);
  }
  const kind = KINDS.find((known) => known === values.kind);
  if (kind === undefined) throw new Error(`--kind needs ${KINDS.join(" or ")}`);
  return {
    kind,
    seed: values.seed === undefined ? newSeed() : parseWhole("seed", values.seed),
    steps: parseWhole("steps", values.steps),
    path: values.path ?? null,
  };
}

function newSeed(): number {
  return Math.floor(Math.random() * 1_000_000);
}

function parseWhole(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`--${option} needs a whole number of at least 1, not "${text}"`);
}
