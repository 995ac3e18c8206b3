/** The client library against a real hub: what is published arrives, through whatever cuts it off. */
import { afterEach, describe, expect, inject, test } from "vitest";
import {
  openPublisher,
  subscribe,
  type Received,
  type Subscription,
} from "../../src/client/main.ts";
import { freshDomain } from "../support/addresses.ts";

const hub = inject("hub");

/** What a test opened. */
const opened: { close(): unknown }[] = [];

afterEach(() => {
  for (const each of opened.splice(0)) void each.close();
});

function keep<Opened extends { close(): unknown }>(each: Opened): Opened {
  opened.push(each);
  return each;
}

/** A topic of a domain with such a policy. */
async function topicOf(policy: Record<string, string | number> | null = null) {
  const { key, domain } = policy === null ? hub : await freshDomain(policy);
  const topic = crypto.randomUUID();
  return {
    key,
    pub: `${hub.url}/ws/pub/${domain}/${topic}`,
    sub: `${hub.url}/ws/sub/${domain}/${topic}`,
  };
}

/** The next so many messages. */
async function take(subscription: Subscription, count: number): Promise<Received[]> {
  const iterator = subscription[Symbol.asyncIterator]();
  const received: Received[] = [];
  while (received.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) throw new Error(`It ended after ${received.length}`);
    received.push(value);
  }
  return received;
}

describe("a subscription and a publisher", () => {
  test("texts and bytes arrive in order, with places and times", async () => {
    const { key, pub, sub } = await topicOf();
    const publisher = keep(openPublisher(pub, { key }));
    await publisher.publish("first");
    const subscription = keep(subscribe(sub, { since: "earliest" }));
    const answer = publisher.publish(["text", new Uint8Array([0, 255, 128])]);
    const received = await take(subscription, 3);
    const data = ["first", "text", new Uint8Array([0, 255, 128])];
    expect(received.map((each) => each.data)).toEqual(data);
    expect(received.at(-1)?.cursor).toBe((await answer).cursor);
    expect(received.at(-1)?.at).toBeInstanceOf(Date);
  });
});
