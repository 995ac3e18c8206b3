/** The benchmark's command line. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { SEQUENCE_DIGITS } from "./load/message-format.ts";

export type Measurement = "throughput" | "latency" | "memory";

export interface Options {
  readonly targets: readonly string[];
  /** Other Workers with the hub's routes: name and wrangler.toml. */
  readonly variants: ReadonlyMap<string, string>;
  readonly hubConfigPath: string;
  readonly measurements: readonly Measurement[];
  readonly subscribers: readonly number[];
  readonly latencySubscribers: number;
  readonly memorySubscribers: number;
  readonly rounds: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly window: number;
  readonly messageBytes: number;
  readonly isJson: boolean;
  readonly isCheck: boolean;
}

export const TARGETS: readonly string[] = ["hub", "floor", "ws", "nchan", "mosquitto"];

/** Memory comes first: after a throughput test a server has pages to spare. */
const MEASUREMENTS: readonly Measurement[] = ["memory", "latency", "throughput"];

export const HELP: string = `Usage: node test/bench/main.ts [options]

Measures servers that send each message of one publisher to all subscribers, side by side:

  hub        this repository's Worker on workerd, with its key store
  floor      the shortest Durable Object that does the same (test/bench/floor)
  ws         npm ws on Node
  nchan      nginx with nchan, one worker process; skipped when not installed
  mosquitto  MQTT over WebSocket; skipped when not installed

Options:
  --targets LIST      which of them (default ${TARGETS.join(",")})
  --variant NAME=TOML another Worker with the hub's routes, measured as well; repeatable
  --only WHAT         throughput, latency or memory
  --subscribers LIST  subscribers for throughput (default 100,1000,4000)
  --rounds N          rounds over all targets (default 5)
  --seconds S         length of a measurement (default 2, after 1 of warm-up)
  --window N          messages in flight at most (default 512)
  --size BYTES        message size (default 128, at least ${SEQUENCE_DIGITS})
  --quick             one short round of hub, floor and ws with few subscribers: does it still work?
  --check             exit 1 when the hub misses its goals against the floor
  --json              the result as JSON instead of a table
  --help              this text

Method: all servers run on this machine, started anew for every round. A round goes measurement by
measurement through the targets, A B C A B C; every number is the median over the rounds, and every
ratio is taken within a round. Server and load generator are pinned to a processor each where taskset
exists. A throughput measurement during which other work took more than 15% of a processor is
repeated, twice at most. Linux only (/proc).

  throughput  A closed loop keeps up to --window messages (and 131,072 deliveries) under way to the
              slowest of 16 sampled subscribers. Processor time is that of the server's whole process
              tree. Every subscriber must receive every message, the sampled ones are compared byte
              for byte: a loss fails the run.
  latency     50 messages per second to 100 subscribers, publish to receive on one clock.
  memory      growth of resident memory by 3,000 subscribers, which have received a message and idle,
              after 500 others have warmed the server up; first round only.

Exit codes: 0 fine; 1 a loss, a dead server or a missed goal; 2 a wrong option.
`;

/** Reads the arguments; "help" when only the help is wanted. Throws with a sentence for the user. */
export function parseOptions(args: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      targets: { type: "string" },
      variant: { type: "string", multiple: true },
      only: { type: "string" },
      subscribers: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      window: { type: "string" },
      size: { type: "string" },
      quick: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const isQuick = values.quick;
  const variants = new Map((values.variant ?? []).map(parseVariant));
  const targets = (values.targets ?? (isQuick ? "hub,floor,ws" : TARGETS.join(",")))
    .split(",")
    .filter((name) => name !== "");
  const unknown = targets.find((name) => !TARGETS.includes(name));
  if (unknown !== undefined) throw new Error(`Unknown target "${unknown}"`);
  const measurements = MEASUREMENTS.filter(
    (name) => values.only === undefined || values.only === name,
  );
  if (measurements.length === 0) throw new Error(`Cannot measure "${values.only}"`);
  const subscribers = (values.subscribers ?? (isQuick ? "20" : "100,1000,4000")).split(",");
  return {
    targets: [...targets, ...variants.keys()],
    variants,
    hubConfigPath: fileURLToPath(new URL("../../wrangler.toml", import.meta.url)),
    measurements,
    subscribers: subscribers.map((text) => parseNumber("subscribers", text, 1)),
    latencySubscribers: isQuick ? 20 : 100,
    memorySubscribers: isQuick ? 100 : 3_000,
    rounds: parseNumber("rounds", values.rounds ?? (isQuick ? "1" : "5"), 1),
    warmupSeconds: isQuick ? 0.2 : 1,
    seconds: parseNumber("seconds", values.seconds ?? (isQuick ? "0.5" : "2"), 0.1),
    window: parseNumber("window", values.window ?? "512", 1),
    messageBytes: parseNumber("size", values.size ?? "128", SEQUENCE_DIGITS),
    isJson: values.json,
    isCheck: values.check,
  };
}

function parseNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= least && Number.isFinite(value)) return value;
  throw new Error(`--${option} needs a number of at least ${least}, not "${text}"`);
}

function parseVariant(text: string): [string, string] {
  const separator = text.indexOf("=");
  if (separator > 0) return [text.slice(0, separator), resolve(text.slice(separator + 1))];
  throw new Error(`--variant needs NAME=path/to/wrangler.toml, not "${text}"`);
}
