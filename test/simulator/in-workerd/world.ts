/**
 * One topic and everyone on it: opens the connections, knows them by their age, and keeps count of what
 * the platform did to the object.
 */
import type { Policy } from "../../../src/core/policy.ts";
import { READS_ALL, type Protocol, type Subscribe } from "./actions.ts";
import { publisherAdmission, subscriberAdmission } from "./admissions.ts";
import { Endings } from "./endings.ts";
import { ANYTHING, expectAtRest, type Expectation } from "./expectation.ts";
import type { Clock } from "../../support-in-workerd/clock.ts";
import { Ledger } from "./ledger.ts";
import { Observer } from "./observer.ts";
import type { Place } from "./place.ts";
import type { Poll } from "./poll.ts";
import { Publications, type Publication } from "./publication.ts";
import { PublisherConnection } from "./publisher-connection.ts";
import type { PageClient } from "./page-walk.ts";
import { isDurable, mayLoseLog, type Cause, type LogView } from "./retention.ts";
import { slownessOf } from "./slowness.ts";
import { StorageFailures } from "./storage-failures.ts";
import { StreamReader } from "./stream-reader.ts";
import { SubscriberConnection } from "./subscriber-connection.ts";
import { TopicHandle } from "./topic-handle.ts";
import { Violation } from "./violation.ts";

/** How many publishes of each owner the hub remembers (10.9): of the 128 of a topic that sleeps, three have a third. */
const REMEMBERED_IDS = 1000;
const REMEMBERED_ASLEEP = 42;

/** Where a subscriber begins. */
export interface Beginning {
  readonly since: string | null;
  readonly expectation: Expectation;
}

/** A topic and its clients. */
export class World {
  readonly policy: Policy;
  readonly clock: Clock;
  readonly topic: TopicHandle = new TopicHandle();
  readonly observer: Observer = new Observer();
  readonly publications: Publications;
  readonly ledger: Ledger;
  /** In the order of their handshakes; `null` where one was refused. */
  readonly publishers: (PublisherConnection | null)[] = [];
  readonly subscribers: (SubscriberConnection | null)[] = [];
  readonly witnesses: SubscriberConnection[] = [];
  readonly bystanders: SubscriberConnection[] = [];
  /** Publications with an id, which can be sent again. */
  readonly repeatable: Publication[] = [];
  /** What was begun and not waited for. */
  readonly background: Promise<void>[] = [];
  /** The epoch at whose head all is quiet, while it is. */
  quietEpoch: string | null = null;
  quietSeconds = 0;
  /** How far the clock was put forward, all in all. */
  passedSeconds = 0;
  readonly storage: StorageFailures;
  readonly endings: Endings = new Endings();
  readonly pageClients: PageClient[] = [];
  /** Those who wait for a page. */
  readonly polls: Poll[] = [];
  /** The newest post that was answered, and by whom. */
  lastPost: { readonly place: Place; readonly sender: number } | null = null;
  #senders = 0;
  #rememberedFrom = 0;
  #hasWitness = false;
  #joined = 0;

  constructor(policy: Policy, clock: Clock) {
    this.policy = policy;
    this.clock = clock;
    this.publications = new Publications(isDurable(policy) ? REMEMBERED_IDS : REMEMBERED_ASLEEP);
    this.ledger = new Ledger(this.publications);
    this.storage = new StorageFailures(this.topic);
  }

  /** What the log's retention is measured against. */
  get view(): LogView {
    const { policy, publications } = this;
    return { policy, publications, rememberedFrom: this.#rememberedFrom };
  }

  /** Every publisher there ever was. */
  get allPublishers(): readonly PublisherConnection[] {
    return this.publishers.filter((client) => client !== null);
  }

  /** Every subscriber there ever was. */
  get allSubscribers(): readonly SubscriberConnection[] {
    const { bystanders, subscribers, witnesses } = this;
    return [...subscribers.filter((client) => client !== null), ...witnesses, ...bystanders];
  }

  /** Whether nothing is under way, and the head of the log is known. */
  get isQuiet(): boolean {
    return this.quietEpoch !== null && this.background.length === 0 && !this.storage.arePending;
  }

  /** Numbers whoever publishes, in the order in which they may. */
  nextSender(): number {
    return this.#senders++;
  }

  /** The publisher of this age, if it is still there. */
  publisher(age: number): PublisherConnection | null {
    const found = this.publishers.at(-1 - age) ?? null;
    return found?.isOpen ? found : null;
  }

  /** The subscriber of this age, if it was ever admitted. */
  subscriber(age: number): SubscriberConnection | null {
    return this.subscribers.at(-1 - age) ?? null;
  }

  /** The clock goes on by so much. */
  passTime(seconds: number): void {
    this.clock.set(this.clock.nowMs + seconds * 1000);
    this.quietSeconds += seconds;
    this.passedSeconds += seconds;
    this.happened("time-passed");
  }

  /** Something happened that may have cost the topic its log. */
  happened(cause: Cause): void {
    this.quietEpoch = null;
    if (cause === "memory-lost" || cause === "sockets-lost") {
      this.#rememberedFrom = this.publications.count;
    }
    const { publishers, graceSeconds } = this.policy;
    const isAbandoned = cause === "time-passed" || graceSeconds === 0;
    if (publishers === "exclusive" && isAbandoned) this.endings.allow("abandoned");
    if (mayLoseLog(this.policy, cause, this.quietSeconds)) this.ledger.allowLoss();
  }

  async connect(
    protocol: Protocol,
    takeover: boolean,
    owner: number = 0,
  ): Promise<PublisherConnection | null> {
    this.quietEpoch = null;
    const { policy } = this;
    const answer = await this.topic.connect(publisherAdmission(protocol, takeover, owner, policy));
    const number = this.nextSender();
    if (typeof answer !== "string") {
      const wish = { number, protocol, owner, takeover };
      const publisher = new PublisherConnection(wish, answer, this);
      this.publishers.push(publisher);
      this.observer.note(`${publisher.name} connected`);
      await this.watch();
      return publisher;
    }
    this.publishers.push(null);
    this.observer.note(`publisher ${number} refused: ${answer}`);
    const mayDisplace =
      takeover && this.allPublishers.every((one) => one.isGone || one.yieldsTo(owner));
    const isConflict = policy.publishers === "exclusive" && !mayDisplace;
    if (answer !== "unavailable" && !(answer === "publisher-conflict" && isConflict)) {
      throw new Violation(`A publisher was refused: ${answer} (5.2)`);
    }
    return null;
  }

  /** A crowd comes; returns who was let in. */
  async subscribe(wish: Subscribe): Promise<readonly SubscriberConnection[]> {
    const beginning = this.beginningOf(wish.since);
    const crowd = Array.from({ length: wish.count }, () => this.#join(wish, beginning));
    const joined = await Promise.all(crowd);
    this.subscribers.push(...joined);
    return joined.filter((client) => client !== null);
  }

  /** Lets the witness come back, if it is wanted and was lost. */
  async watch(): Promise<void> {
    const before = this.witnesses.at(-1);
    if (!this.#hasWitness || before?.isOpen) return;
    const cursor = before?.reader instanceof StreamReader ? before.reader.cursor : null;
    const beginning = { since: cursor ?? "earliest", expectation: ANYTHING };
    const client = await this.#join(READS_ALL, beginning);
    if (client !== null) this.witnesses.push(client);
  }

  /** From now on there is a witness: whatever happens is seen by somebody who can tell places. */
  async employWitness(): Promise<void> {
    this.#hasWitness = true;
    await this.watch();
  }

  /** Lets somebody in who sees what is published from now on. */
  async employBystander(): Promise<SubscriberConnection | null> {
    const client = await this.#join(READS_ALL, { since: null, expectation: ANYTHING });
    if (client !== null) this.bystanders.push(client);
    return client;
  }

  async #join(
    wish: Subscribe,
    { since, expectation }: Beginning,
  ): Promise<SubscriberConnection | null> {
    const { protocol, gap } = wish;
    const mayBeSlow = slownessOf(this, wish, since);
    let answer = await this.topic.connect(subscriberAdmission(protocol, since, gap, null));
    // As the edge does: only a vacant topic needs to be told.
    if (answer === "needs policy") {
      answer = await this.topic.connect(subscriberAdmission(protocol, since, gap, this.policy));
    }
    const number = this.#joined++;
    if (typeof answer !== "string") {
      const asked = { since, gap, expectation };
      const publishedBefore = this.publications.count;
      const options = { number, subscribe: wish, asked, publishedBefore, mayBeSlow };
      const client = new SubscriberConnection(options, answer, this);
      this.observer.note(`${client.name} joined, since=${since} gap=${gap} reads ${wish.reads}`);
      return client;
    }
    this.observer.note(`subscriber refused: ${answer}`);
    const isVacant = answer === "topic-not-live" && this.policy.publishers === "exclusive";
    if (answer !== "unavailable" && !isVacant) {
      throw new Violation(`A subscriber was refused: ${answer} (5.2)`);
    }
    return null;
  }

  /** Where somebody begins who asks for this now, and what is to be expected. */
  beginningOf(wish: Subscribe["since"]): Beginning {
    const since = this.#since(wish);
    const log = this.quietEpoch === null ? undefined : this.ledger.epoch(this.quietEpoch);
    return { since, expectation: log ? expectAtRest(since, log, this.view) : ANYTHING };
  }

  /** The text of a `since`; a cursor that nobody has seen is none. */
  #since(since: Subscribe["since"]): string | null {
    switch (since.kind) {
      case "now":
        return null;
      case "earliest":
        return "earliest";
      case "last":
        return `-${since.count}`;
      case "duration":
        return since.text;
      case "own-cursor": {
        const reader = this.subscriber(since.of)?.reader;
        return reader instanceof StreamReader ? reader.cursor : null;
      }
      case "any-cursor":
        return this.observer.cursorAgo(since.ago);
    }
  }
}
