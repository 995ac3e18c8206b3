/**
 * The Topic object from outside: upgrades as the edge makes them, and the platform's interventions.
 * Every call takes a fresh stub, since that of an object that died is broken for ever.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ADMISSION_HEADER, formatAdmission, parseAnswer } from "../../../src/core/admission.ts";
import type { Admission } from "../../../src/core/admission.ts";
import { waitReally } from "../../support-in-workerd/real-time.ts";
import { parsePostAnswer, type Post, type PostAnswer } from "../../../src/core/post.ts";
import type { Topic, TopicDescription } from "../../../src/topic/topic.ts";

/**
 * An eviction that takes longer never ends: if the object aborts itself meanwhile, the runtime waits
 * for references to the one that is dead (workerd 1.20261117), and gives up after 30 seconds.
 */
const EVICTION_MS = 1_000;

/** A topic of its own. */
export class TopicHandle {
  readonly #name: string;

  /** By default it is a topic that nobody else uses. */
  constructor(name: string = `simulator/${crypto.randomUUID()}`) {
    this.#name = name;
  }

  /** The client's end of a socket, or why there is none; "unavailable" when the object died meanwhile. */
  async connect(admission: Admission): Promise<WebSocket | string> {
    const headers = { Upgrade: "websocket", [ADMISSION_HEADER]: formatAdmission(admission) };
    const response = await orDeath(() => this.stub.fetch("https://topic/", { headers }), undefined);
    if (response === undefined) return "unavailable";
    if (response.webSocket !== null) return response.webSocket;
    const answer = parseAnswer(response.headers);
    return answer.type === "refused" ? answer.slug : `needs ${answer.what}`;
  }

  /** Publishes by HTTP, as the edge hands it over; "unavailable" when the object died meanwhile. */
  post(post: Omit<Post, "name">): Promise<PostAnswer | "unavailable"> {
    const ask = async (): Promise<PostAnswer> =>
      parsePostAnswer(await this.stub.publish({ ...post, name: this.#name }));
    return orDeath<PostAnswer | "unavailable">(ask, "unavailable");
  }

  /** Reads a page, as JSON, or says why there is none. */
  page(admission: Admission, limit: number): Promise<string | { readonly refused: string }> {
    const ask = async (): Promise<string | { readonly refused: string }> => {
      const answer = await this.stub.page(formatAdmission(admission), limit);
      if (answer.type === "page") return new Response(answer.body).text();
      return { refused: answer.type === "refused" ? answer.slug : `needs ${answer.what}` };
    };
    return orDeath(ask, { refused: "unavailable" });
  }

  /** Ends the topic for whoever is there; whether there was anything, "unavailable" when the object died meanwhile. */
  end(): Promise<boolean | "unavailable"> {
    return orDeath<boolean | "unavailable">(async () => this.stub.end(), "unavailable");
  }

  /** Says how the topic is; `null` when the object died meanwhile. */
  describe(): Promise<TopicDescription | null> {
    return orDeath<TopicDescription | null>(async () => this.stub.describe(), null);
  }

  /** Takes the object out of memory; its sockets hibernate or are lost. Whether it is out, or dead. */
  evict(webSockets: "hibernate" | "close"): Promise<boolean> {
    const eviction = orDeath(async () => {
      await runInDurableObject(this.stub, () => {});
      await evictDurableObject(this.stub, { webSockets });
      return true;
    }, true);
    return Promise.race([eviction, waitReally(EVICTION_MS).then(() => false)]);
  }

  /** Fires the alarm now, whenever it is due; false if none is set. */
  runAlarm(): Promise<boolean> {
    return orDeath(() => runDurableObjectAlarm(this.stub), false);
  }

  /** The runtime gives up on the alarm, as it does when it failed six times, which it tells nobody; when it was due. */
  loseAlarm(): Promise<number | null> {
    return runInDurableObject(this.stub, async (_, { storage }) => {
      const atMs = await storage.getAlarm();
      await storage.deleteAlarm();
      return atMs;
    });
  }

  /** The runtime has an alarm again. */
  async restoreAlarm(atMs: number | null): Promise<void> {
    if (atMs === null) return;
    await runInDurableObject(this.stub, (_, { storage }) => storage.setAlarm(atMs));
  }

  /** Something makes the object. */
  async wake(): Promise<void> {
    await this.stub.describe();
  }

  /** A stub that no death of the object has broken. */
  get stub(): DurableObjectStub<Topic> {
    return env.TOPIC.getByName(this.#name);
  }
}

/**
 * Runs an operation that the object may not survive. Swallowed: storage that fails, the runtime's abort, the hub's own
 * of a deserted topic, and an eviction that finds the object gone or dying.
 */
export async function orDeath<T>(operation: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (
      /SQLITE_|called abortAllDurableObjects|The topic has ended|not (currently )?running|to evict/i.test(
        message,
      )
    ) {
      return otherwise;
    }
    throw error;
  }
}
