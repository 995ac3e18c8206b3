/**
 * What a command publishes: how much of it is under way, and what became of it. Knows a publisher, and neither where
 * messages come from nor how results look. Invariant: no more is taken in than is bounded here, so whoever reads a
 * stream reads it as fast as the hub acknowledges.
 */
import { HubError, type Publisher } from "../../client/main.ts";
import { count } from "../output/count.ts";

/** Publishes, and bytes of messages, that are under way. */
const MOST_PUBLISHES = 500;
const MOST_BYTES = 8_388_608;

/** Messages that are published together. */
export type Batch = readonly (string | Uint8Array)[];

/** Is told of each acknowledgement, in order. */
export type Acknowledged = (cursor: string, messages: number) => Promise<void>;

/** All that one command publishes. */
export class Outgoing {
  /** Rejects with the first failure, of whatever publish. */
  readonly failed: Promise<never>;
  readonly #publisher: Publisher;
  readonly #acknowledged: Acknowledged;
  #fail: (error: unknown) => void = () => {};
  #hasFailed = false;
  #taken = 0;
  #done = 0;
  #publishes = 0;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(publisher: Publisher, acknowledged: Acknowledged) {
    this.#publisher = publisher;
    this.#acknowledged = acknowledged;
    this.failed = new Promise((_, reject) => {
      this.#fail = (error) => {
        this.#hasFailed = true;
        reject(error);
      };
    });
    // Nobody has to look at it.
    this.failed.catch(() => {});
    publisher.done.catch(this.#fail);
  }

  /** How far it is. */
  get progress(): string {
    return `${count(this.#taken, "message")}, ${this.#done} acknowledged`;
  }

  /** What nobody knows of, as a clause; empty where all is acknowledged. */
  get doubt(): string {
    const open = this.#taken - this.#done;
    return open === 0 ? "" : `${count(open, "message")} not acknowledged: published, or not`;
  }

  /** Publishes; resolves when there is room for more. After a failure it publishes nothing, and rejects. */
  async publish(batch: Batch): Promise<void> {
    if (this.#hasFailed) await this.failed;
    const first = this.#taken + 1;
    const bytes = batch.reduce((sum, message) => sum + Buffer.byteLength(message), 0);
    this.#taken += batch.length;
    this.#publishes += 1;
    this.#bytes += bytes;
    void this.#send(batch, first).finally(() => {
      this.#publishes -= 1;
      this.#bytes -= bytes;
      for (const wake of this.#waiting.splice(0)) wake();
    });
    await this.#until(() => this.#publishes < MOST_PUBLISHES && this.#bytes < MOST_BYTES);
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#until(() => this.#publishes === 0);
  }

  async #send(batch: Batch, first: number): Promise<void> {
    try {
      const { cursor } = await this.#publisher.publish(batch);
      this.#done += batch.length;
      await this.#acknowledged(cursor, batch.length);
    } catch (error) {
      // A refusal of the hub's, what no frame holds (RangeError), or what a full disk says of the result.
      if (isRefusal(error)) this.#done += batch.length;
      const last = first + batch.length - 1;
      const name = batch.length === 1 ? `Message ${first}` : `Messages ${first} to ${last}`;
      this.#fail(isRefusal(error) ? new RefusedError(name, error) : error);
    }
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** Some messages cannot be published; the others can. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";

  constructor(name: string, cause: HubError | RangeError) {
    const what = cause instanceof HubError ? `${cause.slug}: ${cause.detail}` : cause.message;
    super(`${name} refused (${what})`, { cause });
  }
}

/** The connection goes on. */
function isRefusal(error: unknown): error is HubError | RangeError {
  return error instanceof RangeError || (error instanceof HubError && error.code === null);
}
