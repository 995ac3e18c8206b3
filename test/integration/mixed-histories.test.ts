/**
 * Random histories of a topic at a hub of two versions, in every combination: what is posted, polled, finished and
 * deleted by HTTP between publishers' sockets, at either edge. Each answer is the one that is promised, and the log
 * has what was answered for, once and in order.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, inject, test } from "vitest";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { ask, edgesOf, post, type Answer } from "../support/versions/ask-messages.ts";
import { MIXTURES, useEveryMixture } from "../support/versions/every-mixture.ts";
import type { Edge, MixedHub, Mixture } from "../support/versions/mixed-hub.ts";
import { newTenant, type Tenant } from "../support/versions/tenant.ts";

const KEPT = { history_messages: 1000, history_seconds: 3600, grace_seconds: 300 };
const RUNS = 4;

const STEPS = [
  "post",
  "post again",
  "post other content",
  "connect",
  "publish",
  "leave",
  "read",
  "poll",
  "finish",
  "finish again",
  "delete",
] as const;

/** One step, with what it chooses by. */
interface Step {
  readonly step: (typeof STEPS)[number];
  readonly isOldEdge: boolean;
  readonly pick: number;
}

/** What was posted in the life that is under way, or in the one that was finished last. */
interface Posted {
  readonly id: string;
  readonly text: string;
  readonly cursor: unknown;
  readonly query: string;
}

/** A topic, and what must be true of it. */
class World {
  readonly #current: Edge;
  readonly #old: Edge;
  readonly #tenant: Tenant;
  readonly #isNew: boolean;
  /** All that was published, in order. */
  readonly #log: string[] = [];
  #posted: Posted[] = [];
  #publisher: StreamPublisher | null = null;
  /** How it ended last, `null`: it is live, or in grace. */
  #end: string | null = "never begun";

  constructor(hub: MixedHub, mixture: Mixture, tenant: Tenant) {
    const { current, old } = edgesOf(hub, mixture);
    this.#current = current;
    this.#old = old;
    this.#tenant = tenant;
    this.#isNew = mixture.topic === "current";
  }

  async take({ step, isOldEdge, pick }: Step): Promise<void> {
    const known = this.#posted.at(pick % Math.max(1, this.#posted.length));
    switch (step) {
      case "post":
        return this.#post(isOldEdge ? this.#old : this.#current, "");
      case "finish":
        return this.#post(isOldEdge ? this.#old : this.#current, "?finish=1");
      case "post again":
        return known === undefined ? undefined : this.#repeat(known);
      case "finish again": {
        const last = this.#posted.at(-1);
        return last?.query === "?finish=1" ? this.#repeat(last) : undefined;
      }
      case "post other content": {
        if (known === undefined) return undefined;
        const { said } = await post(this.#current, this.#tenant, "other", known.id, known.query);
        assert.equal(said, "422 id-reused");
        return undefined;
      }
      case "connect":
        return this.#connect(isOldEdge && this.#end === null ? this.#old : this.#current);
      case "publish":
        return this.#publish();
      case "leave":
        await this.#publisher?.client.close();
        this.#publisher = null;
        return undefined;
      case "read":
        await this.#read();
        return undefined;
      case "poll":
        return this.#poll();
      case "delete":
        return this.#delete();
    }
  }

  /** Reads all of it on sockets, by every edge that bears an object that ends: the version before does not. */
  async finish(): Promise<void> {
    const edges = this.#end === null ? [this.#current, this.#old] : [this.#current];
    const isReadable = this.#log.length > 0 && (this.#end === null || this.#isNew);
    for (const edge of isReadable ? edges : []) {
      const url = `${this.#tenant.on(edge).sub("t")}?since=earliest`;
      const reader = await StreamSubscriber.open(url);
      assert.deepEqual(await reader.messages(this.#log.length), this.#log);
      reader.leave();
    }
    this.#publisher?.client.socket.terminate();
  }

  async #post(edge: Edge, query: string): Promise<void> {
    const [id, text] = [crypto.randomUUID(), `posted ${this.#log.length}`];
    const { said, body } = await post(edge, this.#tenant, text, id, query);
    assert.equal(
      said,
      this.#expect(edge, this.#publisher === null ? "200" : "409 publisher-conflict"),
    );
    if (said !== "200") return;
    this.#begin();
    this.#log.push(text);
    this.#posted.push({ id, text, cursor: body["cursor"], query });
    if (query !== "") this.#end = "finished";
  }

  async #repeat({ id, text, cursor, query }: Posted): Promise<void> {
    const { said, body } = await post(this.#current, this.#tenant, text, id, query);
    assert.equal(said, "200");
    assert.equal(body["cursor"], cursor);
  }

  async #connect(edge: Edge): Promise<void> {
    if (this.#publisher !== null) return;
    this.#publisher = await StreamPublisher.open(this.#tenant.on(edge).pub("t"));
    this.#begin();
  }

  async #publish(): Promise<void> {
    if (this.#publisher === null) return;
    const text = `published ${this.#log.length}`;
    await this.#publisher.publish([text]);
    this.#log.push(text);
  }

  async #read(): Promise<Answer> {
    const page = await ask(this.#current, this.#tenant, "?limit=1000");
    const isThere = this.#end === null || this.#log.length > 0;
    assert.equal(page.said, this.#expect(this.#current, isThere ? "200" : "404 topic-not-live"));
    const whole = { messages: this.#log, gap: null, more: false, end: this.#end };
    assert.partialDeepStrictEqual(page.body, page.said === "200" ? whole : {});
    return page;
  }

  async #poll(): Promise<void> {
    if (this.#end !== null || !this.#isNew) return;
    const { body: page } = await this.#read();
    const query = `?since=${String(page["cursor"])}&wait=30`;
    const polled = ask(this.#current, this.#tenant, query);
    await (this.#publisher === null ? this.#post(this.#current, "") : this.#publish());
    assert.partialDeepStrictEqual((await polled).body, { messages: [this.#log.at(-1)], gap: null });
  }

  async #delete(): Promise<void> {
    if (this.#end !== null) return;
    const { status } = await this.#current.admin("DELETE", `${this.#tenant.domain}/topics/t`);
    assert.equal(status, this.#isNew ? 200 : 503);
    if (!this.#isNew) return;
    if (this.#publisher !== null) {
      assert.equal((await this.#publisher.client.closed()).code, 4504);
    }
    this.#publisher = null;
    this.#posted = [];
    this.#end = "deleted";
  }

  /** What is answered at an edge to what a topic of this version would answer so. */
  #expect(edge: Edge, answer: string): string {
    if (edge === this.#old) return "404 not-found";
    return this.#isNew ? answer : "503 topic-unavailable";
  }

  /** A life begins, unless one is under way. */
  #begin(): void {
    if (this.#end !== null) this.#posted = [];
    this.#end = null;
  }
}

describe.runIf(inject("hub").sqlEndpoint !== null)("random histories at mixed versions", () => {
  const hubOf = useEveryMixture();
  const steps = fc.array(
    fc.record({ step: fc.constantFrom(...STEPS), isOldEdge: fc.boolean(), pick: fc.nat(99) }),
    { minLength: 20, maxLength: 40 },
  );

  test.concurrent.each(MIXTURES)(
    "15.10 17.5 17.7 17.14 18.5 18.6 hold: edge $edge, topic $topic, domain $domain",
    async (mixture) => {
      const hub = hubOf(mixture);
      const property = fc.asyncProperty(steps, async (history) => {
        const { current } = edgesOf(hub, mixture);
        const world = new World(hub, mixture, await newTenant(current, KEPT));
        for (const step of history) await world.take(step);
        await world.finish();
      });
      await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
    },
  );
});
