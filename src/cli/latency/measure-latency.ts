/**
 * `wspubsub latency`: how long a message takes from the call that publishes it until a subscriber on this machine has
 * it. Invariant: what warms up is not measured, and a topic that was made for this is ended.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HubError, openPublisher, subscribe, type Publisher } from "../../client/main.ts";
import { UserError } from "../../local/fail.ts";
import { formatTable } from "../output/format-table.ts";
import { startProgress } from "../output/progress.ts";
import { linkOptions, type Credential } from "../messages/credential.ts";
import { LinkWatch } from "../messages/link-watch.ts";
import { socketUrl, type TopicAddress } from "../messages/topic-address.ts";
import type { Session } from "../session.ts";
import { quantilesOf } from "./quantiles.ts";

/** What to measure. */
export interface LatencyOptions {
  readonly credential: Credential | null;
  readonly count: number;
  /** Messages a second. */
  readonly rate: number;
  /** Whether the topic was made for this. */
  readonly isOwnTopic: boolean;
}

/** The first messages meet a connection, a topic and programs that are cold. */
const WARM_UP = 10;
/** Milliseconds, once all are sent: a message that is not there then does not come. Tests name fewer. */
const LAST_MS = Number(process.env["WSPUBSUB_LATENCY_LIMIT_MS"] ?? 10_000);

/** Measures, and prints what came of it; throws a UserError where messages did not come. */
export async function measureLatency(
  session: Session,
  address: TopicAddress,
  { credential, count, rate, isOwnTopic }: LatencyOptions,
): Promise<void> {
  const watched = { ...address, session, reconnects: true };
  const presented = linkOptions(credential);
  // Each has to get in by itself.
  const pubWatch = new LinkWatch({ ...watched, does: "publish" });
  const subWatch = new LinkWatch({ ...watched, does: "subscribe" });
  const publisher = openPublisher(socketUrl("pub", address), {
    ...presented,
    ...pubWatch.linkOptions,
  });
  pubWatch.watch(publisher);
  const subscription = subscribe(socketUrl("sub", address), {
    ...presented,
    ...subWatch.linkOptions,
  });
  subWatch.watch(subscription);
  const total = WARM_UP + count;
  const sentMs: number[] = [];
  const tookMs: number[] = [];
  const mark = crypto.randomUUID();
  const received = receive();
  const stopProgress = startProgress(session, () => `${tookMs.length} of ${total} messages`);
  try {
    await Promise.race([Promise.all([send(), received]), publisher.done.then(() => received)]);
  } catch (error) {
    throw subscription.state === "failed" ? subWatch.explain(error) : pubWatch.explain(error);
  } finally {
    stopProgress();
    subscription.close();
  }
  await leave(publisher, isOwnTopic);
  if (isOwnTopic) await forget(session, address);
  const took = quantilesOf(tookMs.slice(WARM_UP));
  const { domain, topic } = address;
  const [p50_ms, p99_ms, max_ms] = [took.p50, took.p99, took.max].map(round);
  const row = [String(count), ...[took.p50, took.p99, took.max].map(formatMs)];
  session.print(
    { domain, topic, count, rate, p50_ms, p99_ms, max_ms },
    formatTable(["messages", "p50", "p99", "max"], [row]),
  );

  async function send(): Promise<void> {
    // Where the topic is exclusive it starts with the publisher.
    await publisher.publish(`${mark} start`);
    await connected();
    const startMs = performance.now();
    for (let n = 0; n < total; n++) {
      const waitMs = startMs + (1000 / rate) * n - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      sentMs.push(performance.now());
      // What is refused does not come back, which is told in the end.
      void publisher.publish(`${mark} ${n}`).catch(() => {});
    }
    const late = sleep(LAST_MS, "late", { ref: false });
    if ((await Promise.race([received, late])) === "late") {
      throw new UserError(`${total - tookMs.length} of ${total} messages did not come back`);
    }
  }

  /** Others may publish there, too. */
  async function receive(): Promise<void> {
    for await (const { data } of subscription) {
      const [, number] = typeof data === "string" ? data.split(`${mark} `) : [];
      const sent = sentMs[Number(number)];
      if (sent !== undefined) tookMs.push(performance.now() - sent);
      if (tookMs.length === total) return;
    }
  }

  async function connected(): Promise<void> {
    while (!subscription.connected) {
      await new Promise((resolve) => {
        subscription.addEventListener("state", resolve, { once: true });
      });
    }
  }
}

async function leave(publisher: Publisher, isOwnTopic: boolean): Promise<void> {
  try {
    if (isOwnTopic) await publisher.finish();
  } catch (error) {
    // In a shared domain a topic ends by itself.
    if (!(error instanceof HubError)) throw error;
  }
  await publisher.close();
}

/** What was published is of no use to anybody; only the operator can have it forgotten before its time. */
async function forget(session: Session, { hubUrl, domain, topic }: TopicAddress): Promise<void> {
  const hub = session.findAdminToken(hubUrl) === null ? null : session.hub;
  const forgotten = await hub?.forgetMessages(domain, topic);
  if (forgotten?.ok === false)
    session.note(`Messages of "${topic}" are kept: ${forgotten.error.message}`);
}

/** To a microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function formatMs(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}
