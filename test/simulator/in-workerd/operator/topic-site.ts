/** One topic of the domain, everybody who ever was there, and its log as they saw it. */
import { runInDurableObject } from "cloudflare:test";
import * as v from "valibot";
import { PolicySchema, type Policy } from "../../../../src/core/policy.ts";
import { Ledger } from "../ledger.ts";
import { Publications, type Publication } from "../publication.ts";
import type { PublisherConnection } from "../publisher-connection.ts";
import { TopicHandle } from "../topic-handle.ts";
import type { Guest, PublishingGuest, SubscribingGuest } from "./guest.ts";
import type { OwedMessage } from "./owed-message.ts";

const StoredSchema = v.object({
  state: v.optional(v.object({ state: v.object({ policy: v.optional(PolicySchema) }) })),
  log: v.optional(
    v.object({ history: v.nullable(v.object({ messages: v.number(), seconds: v.number() })) }),
  ),
});

/** What a topic's object stores, as far as the simulator must know. */
export interface Stored {
  /** `null` while it is vacant. */
  readonly policy: Policy | null;
  /** What it keeps durably, `null` for nothing. */
  readonly history: { readonly messages: number; readonly seconds: number } | null;
}

/** A publication, and what the object stored just before it was sent. */
export interface SentPublication {
  readonly publication: Publication;
  readonly before: Stored;
}

/** A topic. */
export class TopicSite {
  readonly number: number;
  readonly topic: TopicHandle;
  readonly publications: Publications = new Publications();
  readonly ledger: Ledger = new Ledger(this.publications);
  readonly publishers: PublishingGuest[] = [];
  readonly subscribers: SubscribingGuest[] = [];
  /** Sent, and not seen in the log yet. */
  readonly sent: SentPublication[] = [];
  readonly owed: OwedMessage[] = [];
  /** How often it was seen without a publisher. */
  desertions = 0;
  /** Whether its sockets may be lost now. */
  mayLoseSockets = false;

  constructor(number: number, domain: string) {
    this.number = number;
    this.topic = new TopicHandle(`${domain}/topic-${number}`);
  }

  get stub(): TopicHandle["stub"] {
    return this.topic.stub;
  }

  /** Everybody who is there. */
  get guests(): readonly Guest[] {
    return [...this.openPublishers, ...this.openSubscribers];
  }

  get openPublishers(): readonly PublishingGuest[] {
    return this.publishers.filter(({ client }) => client.isOpen);
  }

  get openSubscribers(): readonly SubscribingGuest[] {
    return this.subscribers.filter(({ client }) => client.isOpen);
  }

  /** Sends so many new messages by somebody; returns their publication. */
  async publish(client: PublisherConnection, messages: number): Promise<Publication> {
    const before = await this.stored();
    const publication = this.publications.create({ messages, kind: "text" });
    this.sent.push({ publication, before });
    client.publish(publication);
    return publication;
  }

  /** What the object stores. */
  async stored(): Promise<Stored> {
    const value = await runInDurableObject(this.stub, (_, { storage }) => ({
      state: storage.kv.get("state"),
      log: storage.kv.get("log"),
    }));
    const { state, log } = v.parse(StoredSchema, value);
    return { policy: state?.state.policy ?? null, history: log?.history ?? null };
  }

  /** The names of all that it stores; its alarm is one. */
  rows(): Promise<string[]> {
    return runInDurableObject(this.stub, async (_, { storage }) => {
      const alarmMs = await storage.getAlarm();
      const rows = Array.from(storage.kv.list(), ([row]) => row);
      return alarmMs === null ? rows : [...rows, "an alarm"];
    });
  }
}
