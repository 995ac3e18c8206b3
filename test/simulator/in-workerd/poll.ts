/**
 * A long poll (PROTOCOL.md, 18.5), as the edge waits: on a subscriber's socket, which it gives up as soon as anything
 * comes. Then there is something to be read, and the place is free again.
 */
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import { subscriberAdmission } from "./admissions.ts";
import { within } from "./deadline.ts";
import type { PageReader } from "./page-reader.ts";
import { readOn } from "./page-walk.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** One that waits behind what it has read. */
export class Poll {
  readonly #world: World;
  readonly #pages: PageReader;
  readonly #limit: number;
  readonly #over: PromiseWithResolvers<"something" | "closed" | "stopped"> =
    Promise.withResolvers();
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers();
  #isOver = false;
  /** Resolves when its answer has come and its place is free. */
  readonly done: Promise<void>;

  constructor(world: World, pages: PageReader, limit: number) {
    this.#world = world;
    this.#pages = pages;
    this.#limit = limit;
    this.done = this.#finish();
    // Whoever settles awaits it.
    this.done.catch(() => {});
  }

  /** Begins to wait; `false` where it is refused. */
  async open(): Promise<boolean> {
    const { topic, policy, observer } = this.#world;
    const admission = subscriberAdmission("stream", this.#pages.since, "skip", policy);
    const answer = await topic.connect(admission);
    if (typeof answer === "string") {
      observer.note(`poll refused: ${answer}`);
      const isOver = answer === "topic-not-live" && policy.publishers === "exclusive";
      if (answer === "unavailable" || isOver) return false;
      throw new Violation(`A poll was refused: ${answer} (18.5)`);
    }
    answer.addEventListener("message", ({ data }) => {
      const frame = parseHubFrame(data);
      const type = frame.ok ? frame.value.type : null;
      // Of a shared topic that was deleted pages say nothing: it may go on (18.6).
      if (type !== "open") this.#over.resolve(type === "end" ? "closed" : "something");
    });
    answer.addEventListener("close", () => {
      this.#over.resolve("closed");
      this.#closed.resolve();
    });
    answer.accept();
    void this.#over.promise.then(() => answer.close(1000));
    return true;
  }

  /** Resolves when its place is free, if it does not wait any more. */
  freed(): Promise<void> {
    return this.#isOver ? this.done : Promise.resolve();
  }

  /** Its time is over. */
  stop(): void {
    this.#over.resolve("stopped");
  }

  async #finish(): Promise<void> {
    const why = await this.#over.promise;
    this.#isOver = true;
    await within(this.#closed.promise, () => "A poll got no answer to its close (8.2)");
    const { cursor } = this.#pages.reader;
    const isAlive = await readOn(this.#world, this.#pages, this.#limit);
    const hasMore = this.#pages.reader.cursor !== cursor;
    if (why === "something" && isAlive && !hasMore) {
      throw new Violation(`A poll was woken at ${cursor} for nothing (18.5)`);
    }
  }
}
