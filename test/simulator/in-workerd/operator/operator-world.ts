/**
 * A domain with its topics, its key store and its key desk, and everybody there: opens connections as the edge does,
 * tells the domain as the edge does, and keeps count of what must be in force.
 */
import type { Told } from "../../../../src/core/change.ts";
import { atRest } from "../../../support-in-workerd/at-rest.ts";
import type { Clock } from "../../../support-in-workerd/clock.ts";
import type { Fault } from "../../../support-in-workerd/fault-table.ts";
import { waitReally } from "../../../support-in-workerd/real-time.ts";
import type { Subscribe } from "../actions.ts";
import { ANYTHING } from "../expectation.ts";
import { Observer } from "../observer.ts";
import { PublisherConnection } from "../publisher-connection.ts";
import { SubscriberConnection } from "../subscriber-connection.ts";
import { KEYS, TOPICS, type Join } from "./actions.ts";
import { judgeAdmission } from "./checkers/admitted-rightly.ts";
import { judgeClose } from "./checkers/closed-rightly.ts";
import { oldestSaid } from "./checkers/policies.ts";
import { judgeRefusal } from "./checkers/refused-rightly.ts";
import { DeskModel } from "./desk-model.ts";
import { DomainHandle } from "./domain-handle.ts";
import { admit, type Outcome } from "./edge-model.ts";
import { Force } from "./force.ts";
import type { Credential } from "./guest.ts";
import { KeyStoreModel, type KeyAnswer, type PolicyAnswer } from "./key-store-model.ts";
import type { OperatorScenario } from "./scenario.ts";
import { TopicSite } from "./topic-site.ts";

/** When the platform repeats an alarm of which the object died. */
const ALARM_RETRY_MS = 2_000;
/** More deaths than are ordered. */
const MAX_DEATHS = 20;

/** A handshake that waits for the domain. */
interface SlowJoin {
  readonly isDone: Promise<void>;
  release(): void;
}

/** A domain and its guests. */
export class OperatorWorld {
  readonly clock: Clock;
  readonly store: KeyStoreModel;
  readonly domain: DomainHandle = new DomainHandle();
  readonly desk: DeskModel;
  readonly observer: Observer = new Observer();
  readonly force: Force = new Force();
  readonly sites: readonly TopicSite[];
  /** What the domain was told, by key and of the policy: the index of the state. */
  readonly toldKeys: Map<number, number> = new Map();
  toldPolicy = 0;
  /** Keys whose revocation the domain holds; false while not everybody may have heard. */
  readonly held: Map<number, boolean> = new Map();
  /** Keys whose revocation the domain may hold. */
  readonly maybeHeld: Set<number> = new Set();
  /** What was read for the domain and is on its way. */
  readonly late: (() => Promise<void>)[] = [];
  readonly disorders: Fault[] = [];
  /** Whether something was ordered to fail since everybody was last reached. */
  isDisturbed = false;
  slow: SlowJoin | null = null;
  /** What is in force once all that is under way has arrived. */
  readonly #upcoming: (() => void)[] = [];
  #joined = 0;

  constructor({ policy, skewMs, deskAgesMs }: OperatorScenario, clock: Clock) {
    this.clock = clock;
    this.store = new KeyStoreModel(clock, skewMs, policy);
    const note = (event: string): void => this.observer.note(event);
    const { domain, store } = this;
    this.desk = new DeskModel({ domain, store, agesMs: deskAgesMs, note });
    this.sites = Array.from({ length: TOPICS }, (_, nth) => new TopicSite(nth, domain.name));
    for (const { ledger } of this.sites) ledger.allowLoss();
  }

  /** The topic of a number. */
  site(number: number): TopicSite {
    const site = this.sites[number];
    if (site === undefined) throw new Error(`There is no topic ${number}`);
    return site;
  }

  /** The keys that an operator changes. */
  get keys(): readonly number[] {
    return Array.from({ length: KEYS }, (_, nth) => nth + 1);
  }

  /** Somebody comes, and is let in or not. */
  async join(wish: Join): Promise<Outcome> {
    const site = this.site(wish.topic);
    const isLive = site.openPublishers.length > 0;
    const outcome = await admit(site.topic, wish, this.store);
    const { answer, said } = outcome;
    const credential: Credential = {
      topic: wish.topic,
      role: wish.type,
      by: wish.type === "publisher" ? wish.key : wish.by,
      checkedAtMs: said?.grant?.checkedAtMs ?? this.store.nowMs,
      endsAtMs: said?.grant?.keyId === null ? said.grant.expiresAtMs : null,
      vacantPolicy: isLive ? Infinity : oldestSaid(this, said),
    };
    const name = `${wish.type} by ${credential.by} on topic ${wish.topic}`;
    if (typeof answer === "string") {
      this.observer.note(`${name} refused: ${answer}`);
      judgeRefusal(this, wish, credential, outcome);
      return outcome;
    }
    const number = this.#joined++;
    this.observer.note(
      `${name} is ${wish.type} ${number}, ${said?.isFresh ? "fresh" : "cached"} of ${credential.checkedAtMs}`,
    );
    const mayBeClosed = (code: number, reason: string): boolean =>
      judgeClose(this, credential, code, reason);
    if (wish.type === "publisher") {
      const options = { number, protocol: "stream", mayBeClosed } as const;
      const client = new PublisherConnection(options, answer, this.#surroundings(site));
      site.publishers.push({ ...credential, client });
    } else {
      const since = wish.since === "now" ? null : wish.since;
      const options = {
        number,
        subscribe: READ_AT_ONCE,
        asked: { since, gap: "skip", expectation: ANYTHING },
        publishedBefore: site.publications.count,
        mayBeClosed,
      } as const;
      const client = new SubscriberConnection(options, answer, this.#surroundings(site));
      site.subscribers.push({ ...credential, client });
    }
    judgeAdmission(this, wish, credential, outcome);
    if (wish.type === "publisher" && said?.isFresh) {
      const { index } = this.store.policyAt(said.policyAtMs ?? 0);
      this.#upcoming.push(() => this.force.learnPolicy(wish.topic, index));
    }
    return outcome;
  }

  /** Tells the domain what the key store said of a key, as the edge does. */
  async tellKey(keyId: number, answer: KeyAnswer): Promise<void> {
    const { standing, atMs, index, isForGood } = answer;
    const told = await this.#tell(`key ${keyId} is ${JSON.stringify(standing)} at ${atMs}`, () =>
      this.domain.stub.changeKey(keyId, standing, atMs, isForGood),
    );
    if (told === null) return;
    if (told.isHeld) {
      // The store answers again: what the domain holds need not wait for its next try.
      if (this.store.isUp) await this.revoke(keyId);
      return;
    }
    this.toldKeys.set(keyId, Math.max(index, this.toldKeys.get(keyId) ?? 0));
    if (told.missed > 0 || this.isDisturbed) return;
    this.#upcoming.push(() => {
      for (const { number } of this.sites) this.force.raiseKey(number, keyId, index);
    });
  }

  /** Tells the domain what the key store said of it. */
  async tellPolicy({ policy, atMs, index }: PolicyAnswer): Promise<void> {
    const told = await this.#tell(`policy ${index} at ${atMs}`, () =>
      this.domain.stub.changePolicy(policy, atMs),
    );
    if (told === null) return;
    this.toldPolicy = Math.max(index, this.toldPolicy);
    if (told.missed > 0 || this.isDisturbed) return;
    this.#upcoming.push(() => {
      for (const { number } of this.sites) this.force.raisePolicy(number, index);
    });
  }

  /** Revokes a key for good, as the edge does. */
  async revoke(keyId: number): Promise<void> {
    const { store } = this;
    if (store.isUp) {
      const atMs = store.revoke(keyId);
      await this.tellKey(keyId, store.keyAt(keyId, atMs));
      return;
    }
    this.maybeHeld.add(keyId);
    const told = await this.#tell(`hold the revocation of key ${keyId}`, () =>
      this.domain.stub.holdRevocation(keyId),
    );
    if (told === null) return;
    const isHeard = told.missed === 0 && !this.isDisturbed;
    this.#upcoming.push(() => this.held.set(keyId, isHeard || this.held.get(keyId) === true));
  }

  /** Time passes, and alarms fire; some may fail. */
  async advance(seconds: number): Promise<void> {
    await this.drain();
    const untilMs = this.clock.nowMs + seconds * 1000;
    for (let deaths = 0; !(await this.#advanceTo(untilMs)); deaths++) {
      if (deaths === MAX_DEATHS) throw new Error("The domain dies of every alarm");
    }
    await this.drain();
  }

  /** Waits until all that is under way has arrived. */
  async drain(): Promise<void> {
    // What a domain that died had under way is forgotten when it is made anew.
    if (this.isDisturbed) await this.domain.alarmMs();
    await atRest();
    await waitReally(2);
    await this.desk.idle();
    await atRest();
    if (this.slow === null) for (const raise of this.#upcoming.splice(0)) raise();
    for (const site of this.sites) {
      if (site.openPublishers.length === 0) {
        site.desertions++;
        this.force.forget(site.number);
      }
      // A new epoch is no wonder here; what must not be lost is looked after by a checker (history-kept.ts).
      site.ledger.allowLoss();
    }
  }

  /** Lets who waits for the domain go on. */
  async releaseSlow(): Promise<void> {
    const { slow } = this;
    if (slow === null) return;
    this.slow = null;
    await this.drainForce();
    slow.release();
    await slow.isDone;
  }

  /** What was said before a slow handshake goes on is in force for it. */
  async drainForce(): Promise<void> {
    await waitReally(2);
    for (const raise of this.#upcoming.splice(0)) raise();
  }

  /** False where the domain died in its alarm, which the platform repeats. */
  async #advanceTo(untilMs: number): Promise<boolean> {
    const stubs = [this.domain.stub, ...this.sites.map(({ stub }) => stub)];
    try {
      for (const { object, error } of await this.clock.advanceTo(untilMs, ...stubs)) {
        this.observer.note(`alarm of ${object.replace(this.domain.name, "D")}: ${error ?? "fine"}`);
      }
      return true;
    } catch (error) {
      // What was ordered to be fatal.
      if (!this.isDisturbed) throw error;
      this.observer.note(`the domain died in its alarm: ${String(error)}`);
      await this.domain.repeatAlarm(this.clock.nowMs + ALARM_RETRY_MS);
      return false;
    }
  }

  async #tell(what: string, call: () => Promise<Told>): Promise<Told | null> {
    try {
      const told = await call();
      this.observer.note(`told the domain: ${what}: ${JSON.stringify(told)}`);
      return told;
    } catch (error) {
      // What was ordered to fail: the operator sees a failure, and what became of the change is not known.
      this.observer.note(`could not tell the domain: ${what}: ${String(error)}`);
      if (!this.isDisturbed) throw error;
      return null;
    }
  }

  #surroundings({ ledger, publications }: TopicSite) {
    return { ledger, publications, observer: this.observer };
  }
}

const READ_AT_ONCE: Subscribe = {
  type: "subscribe",
  protocol: "stream",
  since: { kind: "now" },
  gap: "skip",
  reads: "at once",
  acks: "none",
  count: 1,
};
