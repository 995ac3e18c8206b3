/** The client library against a real hub: each message once and in order, whatever happens in between. */
import { SignJWT } from "jose";
import { afterEach, describe, expect, inject, test } from "vitest";
import {
  openPublisher,
  subscribe,
  type Pending,
  type Publisher,
  type PublisherOptions,
  type Received,
  type SubscribeOptions,
  type Subscription,
} from "../../src/client/main.ts";
import { databaseUrl, freshDomain } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { startBareHub } from "../support/bare-hub.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { noteSecret } from "../support/secrets.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");
const KEPT = { history_messages: 1000, history_seconds: 3600 };

/** What a test opened. */
const opened: { close(): unknown }[] = [];
const hubs: HubProcess[] = [];

afterEach(async () => {
  // Of a publisher that cannot close, since it is not acknowledged, nothing is waited for.
  for (const each of opened.splice(0)) void Promise.resolve(each.close()).catch(() => {});
  for (const own of hubs.splice(0)) await own.stop();
});

/** A topic that nobody has started, of a domain with such a policy, on the hub under test or on another. */
class Topic {
  readonly name: string = crypto.randomUUID();
  readonly domain: string;
  readonly key: string;
  readonly #base: string;

  private constructor(base: string, { domain, key }: { domain: string; key: string }) {
    this.#base = base;
    this.domain = domain;
    this.key = key;
  }

  static async fresh(
    policy: Record<string, string | number | boolean> | null = null,
    base = hub.url,
  ): Promise<Topic> {
    return new Topic(base, policy === null ? hub : await freshDomain(policy));
  }

  publisher(options: PublisherOptions = {}): Publisher {
    const credential = options.token === undefined ? { key: this.key } : {};
    const url = `${this.#base}/ws/pub/${this.domain}/${this.name}`;
    const publisher = openPublisher(url, { ...credential, ...options });
    opened.push(publisher);
    return publisher;
  }

  subscription(options: SubscribeOptions = {}): Subscription {
    const subscription = subscribe(`${this.#base}/ws/sub/${this.domain}/${this.name}`, options);
    opened.push(subscription);
    return subscription;
  }
}

/** The next so many messages. */
async function take(iterator: AsyncIterator<Received>, count: number): Promise<Received[]> {
  const received: Received[] = [];
  while (received.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) throw new Error(`It ended after ${received.length}`);
    received.push(value);
  }
  return received;
}

async function takeTexts(subscription: Subscription, count: number): Promise<unknown[]> {
  const received = await take(subscription[Symbol.asyncIterator](), count);
  return received.map(({ data }) => data);
}

/** The next event of a name. */
function nextEvent(target: EventTarget, name: string): Promise<CustomEvent> {
  return new Promise((resolve) => {
    const listener = (event: Event): void => {
      if (event instanceof CustomEvent) resolve(event);
    };
    target.addEventListener(name, listener, { once: true });
  });
}

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => String(from + n));
}

describe("a subscription and a publisher", () => {
  test("texts and bytes arrive in order, with places and times", async () => {
    const topic = await Topic.fresh();
    const publisher = topic.publisher();
    await publisher.publish("first");
    const subscription = topic.subscription({ since: "earliest" });
    const answer = publisher.publish(["text", new Uint8Array([0, 255, 128])]);
    const received = await take(subscription[Symbol.asyncIterator](), 3);
    const data = ["first", "text", new Uint8Array([0, 255, 128])];
    expect(received.map((each) => each.data)).toEqual(data);
    expect(received.at(-1)?.cursor).toBe((await answer).cursor);
    expect(received.at(-1)?.at).toBeInstanceOf(Date);
    await publisher.close();
  });

  test("a topic that is not live is waited for", async () => {
    const topic = await Topic.fresh();
    const subscription = topic.subscription();
    const reading = takeTexts(subscription, 1);
    // The hub has let it in: it waits there.
    await nextEvent(subscription, "state");
    const publisher = topic.publisher();
    await publisher.publish("at last");
    expect(await reading).toEqual(["at last"]);
  });

  test.runIf(isLocal)("a place within a frame is where it goes on", async () => {
    const topic = await Topic.fresh(KEPT);
    const publisher = topic.publisher();
    await publisher.publish(["1", "2", "3"]);
    await publisher.publish("4");
    const first = topic.subscription({ since: "earliest" });
    await take(first[Symbol.asyncIterator](), 2);
    expect(first.cursor).toMatch(/~2$/);
    const second = topic.subscription({ since: first.cursor ?? "" });
    expect(await takeTexts(second, 2)).toEqual(["3", "4"]);
  });

  test("finish ends the loop, and the publisher", async () => {
    const topic = await Topic.fresh();
    const publisher = topic.publisher();
    await publisher.publish("1");
    const subscription = topic.subscription({ since: "earliest" });
    const ended = nextEvent(subscription, "end");
    const received: unknown[] = [];
    let finished: ReturnType<Publisher["finish"]> | undefined;
    for await (const { data } of subscription) {
      received.push(data);
      finished ??= publisher.finish("2");
    }
    expect(received).toEqual(["1", "2"]);
    expect((await finished)?.cursor).toBe(subscription.cursor);
    expect((await ended).detail).toEqual({ reason: "finished" });
    await publisher.done;
    expect([subscription.state, publisher.state]).toEqual(["closed", "closed"]);
  });

  test("topic-shared and message-too-large concern one call alone", async () => {
    const topic = await Topic.fresh({ publishers: "shared", max_message_bytes: 1024 });
    const publisher = topic.publisher();
    const subscription = topic.subscription();
    const reading = takeTexts(subscription, 2);
    await nextEvent(subscription, "state");
    const answers = await Promise.allSettled([
      publisher.publish("1"),
      publisher.publish("x".repeat(2000)),
      publisher.publish("2"),
      publisher.finish(),
    ]);
    expect(answers).toMatchObject([
      { status: "fulfilled" },
      { reason: { slug: "message-too-large", status: 413 } },
      { status: "fulfilled" },
      { reason: { slug: "topic-shared", status: 409 } },
    ]);
    expect(await reading).toEqual(["1", "2"]);
  });

  test("a rate changes no order", async () => {
    const topic = await Topic.fresh({ ...KEPT, messages_per_second: 10 });
    const publisher = topic.publisher();
    await Promise.all(numbers(25).map((text) => publisher.publish(text)));
    expect(await takeTexts(topic.subscription({ since: "earliest" }), 25)).toEqual(numbers(25));
  });

  test("what waits for a slow reader all arrives, and is held back by it", async () => {
    const topic = await Topic.fresh({ ...KEPT, history_messages: 0 });
    const publisher = topic.publisher();
    const large = "x".repeat(65_536);
    await publisher.publish("begin");
    const subscription = topic.subscription({ since: "earliest" });
    const iterator = subscription[Symbol.asyncIterator]();
    await take(iterator, 1);
    await Promise.all(numbers(80).map((text) => publisher.publish([text, large])));
    const received = await take(iterator, 160);
    const texts = received.filter((_, n) => n % 2 === 0).map(({ data }) => data);
    expect(texts).toEqual(numbers(80));
  });
});

describe("what ends them", () => {
  test("a key that opens nothing", async () => {
    const topic = await Topic.fresh();
    const key = noteSecret("key", crypto.randomUUID());
    await expect(topic.publisher({ key }).publish("1")).rejects.toMatchObject({
      name: "HubError",
      slug: "key-rejected",
      status: 401,
      code: 4501,
    });
  });

  test("a topic that is abandoned goes on with the next", async () => {
    const topic = await Topic.fresh({ ...KEPT, grace_seconds: 0 });
    const first = topic.publisher();
    await first.publish("1");
    const subscription = topic.subscription({ since: "earliest" });
    const ended = nextEvent(subscription, "end");
    const reading = takeTexts(subscription, 2);
    await first.close();
    expect((await ended).detail).toEqual({ reason: "abandoned" });
    const second = topic.publisher();
    await second.publish("2");
    expect(await reading).toEqual(["1", "2"]);
  });

  test.runIf(isLocal)("a takeover, and the topic's deletion", async () => {
    const topic = await Topic.fresh(KEPT);
    const first = topic.publisher();
    await first.publish("1");
    const second = topic.publisher({ takeover: true });
    await second.publish("2");
    await expect(first.done).rejects.toMatchObject({ slug: "publisher-displaced", code: 4509 });
    const subscription = topic.subscription({ since: "earliest" });
    const ended = nextEvent(subscription, "end");
    const iterator = subscription[Symbol.asyncIterator]();
    await take(iterator, 2);
    await admin("DELETE", `${topic.domain}/topics/${topic.name}`);
    await expect(second.done).rejects.toMatchObject({ slug: "topic-deleted", code: 4504 });
    expect((await iterator.next()).done).toBe(true);
    expect((await ended).detail).toEqual({ reason: "deleted" });
    expect(subscription.state).toBe("closed");
  });
});

describe.runIf(isLocal)("what does not", () => {
  test("a token that expires", async () => {
    const topic = await Topic.fresh({
      ...KEPT,
      subscribers: "token",
      token_secret: SECRET,
      token_publishers: true,
    });
    const token = async (): Promise<string> => {
      const details = { type: "wspubsub", actions: ["publish", "subscribe"], topics: [topic.name] };
      const signed = await new SignJWT({ authorization_details: [details] })
        .setProtectedHeader({ alg: "HS256" })
        .setAudience(`wspubsub:${topic.domain}`)
        .setSubject("user")
        .setExpirationTime(Math.floor(Date.now() / 1000) + 2)
        .sign(new TextEncoder().encode(SECRET));
      return noteSecret("token", signed);
    };
    const publisher = topic.publisher({ token, takeover: true });
    const subscription = topic.subscription({ token, since: "earliest" });
    const reading = takeTexts(subscription, 3);
    for (const text of numbers(3)) {
      await publisher.publish(text);
      let { detail } = await nextEvent(publisher, "state");
      while (detail.error?.slug !== "token-expired") {
        ({ detail } = await nextEvent(publisher, "state"));
      }
    }
    expect(await reading).toEqual(numbers(3));
  });

  test("a publisher that dies, and comes again with its outbox", async () => {
    const topic = await Topic.fresh({ ...KEPT, publishers: "shared" });
    let kept: readonly Pending[] = [];
    const outbox = {
      load: () => kept,
      save(pending: readonly Pending[]) {
        kept = structuredClone(pending);
      },
    };
    const controller = new AbortController();
    const first = topic.publisher({ outbox, signal: controller.signal });
    const answers = numbers(50).map((text) => first.publish(text));
    await answers[10];
    controller.abort();
    await Promise.allSettled(answers);
    expect(kept.length).toBeGreaterThan(0);
    const second = topic.publisher({ outbox });
    await second.publish("last");
    expect(kept).toEqual([]);
    const received = await takeTexts(topic.subscription({ since: "earliest" }), 51);
    expect(received).toEqual([...numbers(50), "last"]);
  });

  test("a hub that is killed", async () => {
    const own = await startBareHub({ env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    const topic = await Topic.fresh(KEPT, own.url.replace(/^http/, "ws"));
    const publisher = topic.publisher();
    const subscription = topic.subscription({ since: "earliest" });
    const reading = takeTexts(subscription, 30);
    await Promise.all(numbers(10).map((text) => publisher.publish(text)));
    const answers = numbers(20, 10).map((text) => publisher.publish(text));
    await own.kill();
    const { port, state } = own;
    hubs.push(await startBareHub({ port, state, env: { DATABASE_URL: databaseUrl() } }));
    await Promise.all(answers);
    expect(await reading).toEqual(numbers(30));
  });
});
