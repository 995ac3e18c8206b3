/** The benchmark's command line. */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { DEFAULT_POLICY } from "../../src/core/policy.ts";
import { refuseSwallowedOptions } from "../../src/local/refuse-swallowed-options.ts";
import type { HistorySize } from "./history-scenarios.ts";
import type { KickSize } from "./kick-scenarios.ts";
import { SEQUENCE_DIGITS } from "./load/message-format.ts";
import { MEASUREMENTS, type Measurement } from "./step.ts";
import { QUICK_TARGETS, TARGETS } from "./targets/target-names.ts";

export interface Options {
  readonly targets: readonly string[];
  /** Other Workers with the hub's routes: name and wrangler.toml. */
  readonly variants: ReadonlyMap<string, string>;
  readonly hubConfigPath: string;
  readonly measurements: readonly Measurement[];
  readonly subscribers: readonly number[];
  readonly latencySubscribers: number;
  /** Messages a second while latency is measured. */
  readonly latencyRate: number;
  readonly memorySubscribers: number;
  readonly joinSubscribers: number;
  readonly messagesInLog: number;
  readonly stormSubscribers: number;
  readonly endsSubscribers: number;
  readonly connects: number;
  readonly kick: KickSize;
  readonly history: HistorySize;
  readonly rounds: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Messages in flight at most; undefined = what suits each target. */
  readonly window: number | undefined;
  readonly messageBytes: number;
  readonly isJson: boolean;
  readonly isCheck: boolean;
}

const OPTIONS = {
  targets: { type: "string" },
  variant: { type: "string", multiple: true },
  only: { type: "string" },
  subscribers: { type: "string" },
  "latency-subscribers": { type: "string" },
  "latency-rate": { type: "string" },
  "ends-subscribers": { type: "string" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  window: { type: "string" },
  "kick-topics": { type: "string" },
  "kick-holders": { type: "string" },
  rates: { type: "string" },
  delays: { type: "string" },
  size: { type: "string" },
  quick: { type: "boolean", default: false },
  check: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** Reads the arguments; "help" when only the help is wanted. Throws with a sentence for the user. */
export function parseOptions(args: readonly string[]): Options | "help" {
  refuseSwallowedOptions("bench", Object.keys(OPTIONS), args);
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return "help";
  const isQuick = values.quick;
  const variants = new Map((values.variant ?? []).map(parseVariant));
  const targets = (values.targets ?? (isQuick ? QUICK_TARGETS : TARGETS).join(","))
    .split(",")
    .filter((name) => name !== "");
  const unknown = targets.find((name) => !TARGETS.includes(name));
  if (unknown !== undefined) throw new Error(`Unknown target "${unknown}"`);
  const only = values.only?.split(",") ?? MEASUREMENTS;
  const wrong = only.find((name) => !MEASUREMENTS.some((known) => known === name));
  if (wrong !== undefined) throw new Error(`Cannot measure "${wrong}"`);
  const subscribers = values.subscribers ?? (isQuick ? "20" : "100,1000,4000");
  return {
    targets: [...targets, ...variants.keys()],
    variants,
    hubConfigPath: fileURLToPath(new URL("../../wrangler.toml", import.meta.url)),
    measurements: MEASUREMENTS.filter((name) => only.includes(name)),
    subscribers: parseNumbers("subscribers", subscribers, 1),
    latencySubscribers: parseNumber(
      "latency-subscribers",
      values["latency-subscribers"] ?? (isQuick ? "20" : "100"),
      1,
    ),
    latencyRate: parseNumber("latency-rate", values["latency-rate"] ?? "50", 1),
    memorySubscribers: isQuick ? 100 : 3_000,
    joinSubscribers: isQuick ? 20 : 100,
    messagesInLog: isQuick ? 1_000 : 10_000,
    stormSubscribers: isQuick ? 200 : 5_000,
    endsSubscribers: parseNumber(
      "ends-subscribers",
      values["ends-subscribers"] ?? (isQuick ? "200" : "10000"),
      1,
    ),
    connects: isQuick ? 100 : 3_000,
    kick: parseKick(values["kick-topics"] ?? (isQuick ? "10" : "100"), values["kick-holders"]),
    history: {
      delaysMs: parseNumbers("delays", values.delays ?? `0,${DEFAULT_POLICY.historyDelayMs}`, 0),
      rates: parseNumbers("rates", values.rates ?? (isQuick ? "50" : "10,50,100"), 1),
    },
    rounds: parseNumber("rounds", values.rounds ?? (isQuick ? "1" : "5"), 1),
    warmupSeconds: isQuick ? 0.2 : 1,
    seconds: parseNumber("seconds", values.seconds ?? (isQuick ? "0.5" : "2"), 0.1),
    window: values.window === undefined ? undefined : parseNumber("window", values.window, 1),
    messageBytes: parseNumber("size", values.size ?? "128", SEQUENCE_DIGITS),
    isJson: values.json,
    isCheck: values.check,
  };
}

function parseNumbers(option: string, texts: string, least: number): number[] {
  return texts.split(",").map((text) => parseNumber(option, text, least));
}

function parseNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= least && Number.isFinite(value)) return value;
  throw new Error(`--${option} needs a number of at least ${least}, not "${text}"`);
}

function parseKick(topicsText: string, holdersText: string | undefined): KickSize {
  const topics = parseNumber("kick-topics", topicsText, 1);
  if (holdersText === undefined) return { topics, holders: undefined };
  const holders = parseNumber("kick-holders", holdersText, 1);
  if (holders <= topics) return { topics, holders };
  throw new Error(`--kick-holders needs a number of at most ${topics}, not "${holdersText}"`);
}

/** The path is a checkout's directory, or a wrangler.toml. */
function parseVariant(text: string): [string, string] {
  const separator = text.indexOf("=");
  if (separator < 1) throw new Error(`--variant needs NAME=PATH, not "${text}"`);
  const [name, path] = [text.slice(0, separator), resolve(text.slice(separator + 1))];
  if (TARGETS.includes(name)) throw new Error(`--variant needs a name of its own, not "${name}"`);
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const configPath = isDirectory ? join(path, "wrangler.toml") : path;
  if (statSync(configPath, { throwIfNoEntry: false }) === undefined) {
    throw new Error(`--variant ${name}: there is no "${configPath}"`);
  }
  return [name, configPath];
}
