/** What the coordinator asks of the load generator, and what comes back. Crosses a process boundary. */
import type { KickScenario } from "../kick-scenarios.ts";
import type { DialectName } from "./dialect.ts";
import type { FloodScenario } from "./flood-scenarios.ts";

/** What may be under way at most in a closed loop. */
export interface InFlight {
  readonly messages: number;
  readonly deliveries: number;
}

/** Where and how to reach a topic of the server under test. */
export interface Endpoint {
  readonly port: number;
  readonly publisherPath: string;
  readonly subscriberPath: string;
  readonly dialect: DialectName;
  /** The parameter of a subscriber's URL that says where to begin; absent = it cannot. */
  readonly sinceParameter?: string;
  readonly inFlight: InFlight;
}

interface Load {
  readonly endpoint: Endpoint;
  readonly messageBytes: number;
  /** The server's own process; its descendants are found by the generator. */
  readonly serverPid: number;
}

export interface ThroughputCommand extends Load {
  readonly kind: "throughput";
  readonly subscribers: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
}

export interface LatencyCommand extends Load {
  readonly kind: "latency";
  readonly subscribers: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
}

export interface MemoryCommand extends Load {
  readonly kind: "memory";
  readonly subscribers: number;
  readonly warmupSubscribers: number;
  readonly settleSeconds: number;
}

export interface IngestCommand extends Load {
  readonly kind: "ingest";
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly messagesPerFrame: number;
}

export interface JoinCommand extends Load {
  readonly kind: "join";
  readonly subscribers: number;
  /** Messages published before anyone joins. */
  readonly messagesInLog: number;
  /** As many the log keeps at least. */
  readonly historyMessages: number;
  readonly messagesPerSecond: number;
}

export interface StormCommand extends Load {
  readonly kind: "storm";
  readonly subscribers: number;
  readonly messagesPerSecond: number;
  /** Each comes back after a random time up to this. */
  readonly jitterSeconds: number;
  /** Answers a GET with the number of queries so far; absent = the target has no database. */
  readonly queryCountUrl: string | undefined;
}

/** What happens to all subscribers of a topic, beside others. */
export const ENDS_SCENARIOS = ["end", "drain", "wake"] as const;

export interface EndsCommand extends Load {
  readonly kind: "ends";
  readonly scenario: (typeof ENDS_SCENARIOS)[number];
  readonly subscribers: number;
  /** The topic that is measured meanwhile. */
  readonly probe: Endpoint;
}

export interface ConnectCommand extends Load {
  readonly kind: "connect";
  readonly connects: number;
  readonly warmupConnects: number;
}

/** A key that can be spent: what is measured is its end. */
export interface RevocableKey {
  readonly id: number;
  readonly key: string;
}

/** A scenario, and the keys to revoke. */
export interface KickLoad {
  readonly scenario: KickScenario;
  readonly keys: readonly RevocableKey[];
}

export interface KickCommand extends Load {
  readonly kind: "kick";
  /** Publishers on all topics with a key that is not revoked; absent = each key has its own topics. */
  readonly residents: { readonly topics: number; readonly key: string } | undefined;
  readonly adminToken: string;
  readonly domain: string;
  readonly scenarios: readonly KickLoad[];
}

/** The topics of a scenario. */
export interface FloodTopics {
  readonly scenario: FloodScenario;
  readonly flooded: Endpoint;
  readonly quiet: Endpoint;
}

export interface FloodCommand extends Load {
  readonly kind: "flood";
  /** Topics that are flooded by a raw publisher, and those beside them; new ones for each scenario. */
  readonly topics: readonly FloodTopics[];
  readonly warmupSeconds: number;
  readonly seconds: number;
}

export interface CallsCommand extends Load {
  readonly kind: "calls";
  /** A GET of it with a number appended calls that many objects. */
  readonly callsPath: string;
  /** As many calls as a key has holders. */
  readonly scenarios: readonly KickScenario[];
}

/** What is posted, and where. */
export interface PostScenario {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly messagesPerPost: number;
}

export interface PostCommand extends Load {
  readonly kind: "post";
  readonly scenario: PostScenario;
  readonly warmupSeconds: number;
  readonly seconds: number;
}

export type LoadCommand =
  | ThroughputCommand
  | LatencyCommand
  | MemoryCommand
  | IngestCommand
  | JoinCommand
  | StormCommand
  | EndsCommand
  | ConnectCommand
  | KickCommand
  | FloodCommand
  | PostCommand
  | CallsCommand;

/** Shares of one processor. */
export interface Busy {
  /** Well below 1 means that the server was not the bottleneck. */
  readonly serverLoad: number;
  readonly generatorLoad: number;
  /** Processors that everything else on the machine used: it disturbs, so the report tells. */
  readonly othersLoad: number;
}

export interface ThroughputResult extends Busy {
  readonly deliveriesPerSecond: number;
  readonly cpuMicrosPerDelivery: number;
  /** Messages that were allowed to be under way. */
  readonly window: number;
}

export interface LatencyResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
  readonly serverLoad: number;
}

export interface MemoryResult {
  readonly bytesPerSocket: number;
}

export interface IngestResult extends Busy {
  readonly messagesPerSecond: number;
  readonly cpuMicrosPerMessage: number;
}

export interface JoinResult extends Busy {
  readonly messagesInLog: number;
  readonly subscribers: number;
  /** From the first connect until the middle one and the last one have all there was as they came in. */
  readonly medianCurrentMs: number;
  readonly lastCurrentMs: number;
}

export interface StormResult extends Busy {
  readonly subscribers: number;
  readonly lost: number;
  readonly repeated: number;
  /** Those that were never current, or whose connection ended again. */
  readonly leftBehind: number;
  /** What happened to one of those, if anything did. */
  readonly fault: string | undefined;
  /** Queries to the database from the cut until all were current; undefined where there is none. */
  readonly databaseQueries: number | undefined;
  /** From the cut to the moment when the last one is current; of those that were not left behind. */
  readonly lastCurrentMs: number;
}

export interface EndsResult {
  readonly scenario: EndsCommand["scenario"];
  readonly subscribers: number;
  /** Until everyone was closed, or had what woke the topic. */
  readonly seconds: number;
  /** Of messages on the other topic meanwhile. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ConnectResult extends Busy {
  readonly connectsPerSecond: number;
  readonly cpuMicrosPerConnect: number;
}

export interface CallsResult {
  readonly scenario: KickScenario;
  /** Until the last one, a median over the keys (or repeats). */
  readonly lastMs: number;
  /** Processor time of the server's until then; its clock's step is 10 ms. */
  readonly cpuMicrosPerHolder: number;
}

export interface KickResult extends CallsResult {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Topics in memory when the key was revoked. */
  readonly awakeTopics: number;
}

/** What others notice while a topic is flooded. */
export interface FloodResult {
  readonly scenario: FloodScenario;
  /** Messages of the flood that arrived. */
  readonly floodPerSecond: number;
  readonly deliveryP50Ms: number;
  readonly deliveryP99Ms: number;
  readonly connectP50Ms: number;
  readonly connectP99Ms: number;
}

export interface PostResult extends Busy {
  readonly scenario: PostScenario;
  readonly postsPerSecond: number;
  readonly cpuMicrosPerPost: number;
}

export interface ResultOf {
  readonly throughput: ThroughputResult;
  readonly latency: LatencyResult;
  readonly memory: MemoryResult;
  readonly ingest: IngestResult;
  readonly join: JoinResult;
  readonly storm: StormResult;
  readonly ends: EndsResult;
  readonly connect: ConnectResult;
  readonly kick: readonly KickResult[];
  readonly calls: readonly CallsResult[];
  readonly flood: readonly FloodResult[];
  readonly post: PostResult;
}

export type LoadReply<Result> =
  | { readonly ok: true; readonly result: Result }
  | { readonly ok: false; readonly reason: string };

// Both ends are this program, so telling a command and a reply from noise is check enough.

export function isLoadCommand(value: unknown): value is LoadCommand {
  return typeof value === "object" && value !== null && "kind" in value;
}

export function isLoadReply<Result>(value: unknown): value is LoadReply<Result> {
  return typeof value === "object" && value !== null && "ok" in value;
}
