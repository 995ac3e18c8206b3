/**
 * The way from a domain to the objects in its register: by their holder's name, and in the version that each
 * of them runs. A failed stub is never used again.
 */
import type { Change, Heard } from "../core/change.ts";
import { lacksMethod } from "../core/version-before.ts";
import { topicStub, type StubEnv } from "../stubs.ts";
import type { Audit, Topic } from "../topic/topic.ts";

const TOPIC = "topic/";

/** The objects of one domain. */
export class TopicStubs {
  readonly #env: StubEnv<"TOPIC">;
  readonly #domain: () => string;

  constructor(env: StubEnv<"TOPIC">, domain: () => string) {
    this.#env = env;
    this.#domain = domain;
  }

  /** Tells an object of a change; rejects when it cannot be reached or does not understand. */
  async tell(holder: string, change: Change): Promise<Heard> {
    try {
      return await this.#stub(holder).applyChange(change);
    } catch (error) {
      // Version 0.1 knows of keys only; a policy waits until the object has been replaced.
      if (!lacksMethod(error) || change.type !== "key") throw error;
      const { closed, isLive } = await this.#stub(holder).applyKey(change.keyId, change.standing);
      return { closed, isLive, holdsKey: isLive };
    }
  }

  /** Asks an object what it is; `null` when it is of version 0.1. */
  async audit(holder: string): Promise<Audit | null> {
    try {
      return await this.#stub(holder).audit();
    } catch (error) {
      if (lacksMethod(error)) return null;
      throw error;
    }
  }

  #stub(holder: string): DurableObjectStub<Topic> {
    const address = { domain: this.#domain(), topic: holder.slice(TOPIC.length) };
    return topicStub(this.#env, address);
  }
}
