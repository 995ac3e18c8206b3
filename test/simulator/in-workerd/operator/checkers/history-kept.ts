/** What was in a durable log is there as long as every policy since keeps it: no cached word drops it (16.4). */
import type { Policy } from "../../../../../src/core/policy.ts";
import { formatPlace } from "../../place.ts";
import { shortKey } from "../../body.ts";
import { Violation } from "../../violation.ts";
import type { OperatorWorld } from "../operator-world.ts";
import type { OwedMessage } from "../owed-message.ts";
import type { TopicSite } from "../topic-site.ts";
import { TOLERANCE_MS } from "./tolerance.ts";

/** A day less some: a shared topic's log without an age is kept so long without a publisher. */
const VACANT_MS = 80_000_000;
/** Expiry by age is not exact. */
const AGE_SLACK_MS = 10_000;

/** Notes which messages have come into the log since, and whether that is durable. */
export async function noteOwed(world: OperatorWorld, site: TopicSite): Promise<void> {
  const arrived = site.sent.filter(({ publication }) =>
    publication.keys.every((key) => placeOf(site, key)),
  );
  if (arrived.length === 0) return;
  const after = await site.stored();
  for (const sent of arrived) {
    site.sent.splice(site.sent.indexOf(sent), 1);
    const stored = [sent.before, after];
    if (stored.some(({ history, policy }) => history === null || policy === null)) continue;
    for (const key of sent.publication.keys) {
      const place = placeOf(site, key);
      if (place === undefined) continue;
      const sinceMs = world.store.nowMs;
      const { desertions } = site;
      site.owed.push({ key, place, sinceMs, publishedAtMs: Date.now(), stored, desertions });
    }
  }
}

/** Checks what a reader of all that there is has seen. */
export function expectHistory(
  world: OperatorWorld,
  site: TopicSite,
  seen: ReadonlySet<string>,
): void {
  for (const message of site.owed) {
    if (seen.has(message.key) || mayBeGone(world, site, message)) continue;
    const at = formatPlace(message.place);
    throw new Violation(`"${shortKey(message.key)}", at ${at}, is gone from the log (16.4)`);
  }
}

function placeOf(site: TopicSite, key: string): OwedMessage["place"] | undefined {
  return site.ledger.placesOf(key)[0];
}

function mayBeGone(world: OperatorWorld, site: TopicSite, message: OwedMessage): boolean {
  const { policies } = world.store;
  const valid = policies.filter((_, index) => {
    return (policies[index + 1]?.sinceMs ?? Infinity) >= message.sinceMs - TOLERANCE_MS;
  });
  const atThatTime = message.stored.flatMap(({ policy, history }) =>
    policy === null || history === null ? [] : [{ ...policy, ...named(history) }],
  );
  return [...atThatTime, ...valid.map((state) => state.policy)].some((by) =>
    mayBeGoneBy(by, site, message),
  );
}

function mayBeGoneBy(policy: Policy, site: TopicSite, message: OwedMessage): boolean {
  const { publishers, historyMessages, historySeconds } = policy;
  if (historyMessages === 0 && historySeconds === 0) return true;
  const ageMs = Date.now() - message.publishedAtMs;
  if (historySeconds > 0 && ageMs >= historySeconds * 1000 - AGE_SLACK_MS) return true;
  const head = site.ledger.epoch(message.place.epoch)?.last ?? Infinity;
  if (historyMessages > 0 && head - message.place.offset >= historyMessages) return true;
  if (site.desertions === message.desertions || historySeconds > 0) return false;
  return publishers === "exclusive" || ageMs >= VACANT_MS;
}

function named({ messages, seconds }: { messages: number; seconds: number }): {
  historyMessages: number;
  historySeconds: number;
} {
  return { historyMessages: messages, historySeconds: seconds };
}
