/**
 * Sequencer: gathers what is published, gives it its place in the log, batch by batch, answers for it, and hands it to
 * the fan-out. An idle topic sends at once; under load messages gather for a few milliseconds (ARCHITECTURE.md,
 * Fan-out, has the measurements), in a durable log as long as the policy lets them wait to share a row. Knows nothing of
 * phases, publishers or sockets.
 * Invariants: a batch is in the log before anyone sees it, or an ack; acks wait for the log, never for a delivery.
 */
import { reached } from "../core/coverage-mark.ts";
import type { FanOut } from "../delivery/fan-out.ts";
import type { Batch } from "../delivery/batch.ts";
import { Gathering } from "./gathering.ts";
import type { Log } from "./log.ts";
import type { Publication } from "./publication.ts";
import { RowPace } from "./row-pace.ts";
import { turn } from "../delivery/turn.ts";

/** What a sequencer needs of its topic. */
export interface SequencedTopic {
  /** How long a message may wait to share a row, by the policy that holds. */
  historyDelayMs(): number;
  /** The log has grown. */
  onAppended(): void;
  /** Storage failed, so that nothing that follows could be true. */
  onLogFailure(error: unknown): void;
  /** Everything is sent and nothing lingers. */
  onIdle(): void;
  /** Lets nothing else happen to the topic until the work is done: publishers are held up. */
  hold(work: () => Promise<void>): void;
  /** Something is wrong that nobody has foreseen: nothing is delivered any more. */
  onFailure(error: unknown): void;
}

/** Milliseconds that messages gather after a round, so that the next one carries several. */
export const LINGER_MS = 4;
/** Messages that share the price of a row well enough not to wait for more, or as many as come at such a rate. */
const ENOUGH_MESSAGES = 16;
const ENOUGH_MESSAGES_PER_SECOND = 128;
/** Senders are let go after so long, and held up again if need be: the runtime resets who blocks for 30 s. */
const MAX_HOLD_MS = 5000;

/** How the loop goes. */
interface Pace {
  /** Whether it is to stop, though there is more. */
  isOver(): boolean;
  /** Between two batches. */
  rest(): Promise<void>;
}

/** The sequencer of one topic. */
export class Sequencer {
  readonly #log: Pick<Log, "append" | "head" | "isDurable">;
  readonly #fanOut: FanOut;
  readonly #topic: SequencedTopic;
  readonly #gathering: Gathering = new Gathering();
  /** When the first of what has gathered came. */
  #gatheredSinceMs = 0;
  readonly #pace: RowPace = new RowPace();
  /** Whether the loop is under way; it is started once and ends when all is out. */
  #isRunning = false;
  #isHolding = false;
  /** Ends a pause before its time. */
  #endPause: (() => void) | null = null;

  constructor(
    log: Pick<Log, "append" | "head" | "isDurable">,
    fanOut: FanOut,
    topic: SequencedTopic,
  ) {
    this.#log = log;
    this.#fanOut = fanOut;
    this.#topic = topic;
  }

  /** Whether it is at rest: nothing gathered, nothing under way, no linger. */
  get isIdle(): boolean {
    return !this.#isRunning;
  }

  /** Whether no more should be taken from whoever can be told to wait. */
  get isFull(): boolean {
    return this.#gathering.isFull;
  }

  /** Takes a publication for every subscriber. Synchronous up to the first slice of an idle topic. */
  publish(publication: Publication): void {
    const { isEmpty: isFirst } = this.#gathering;
    if (isFirst) this.#gatheredSinceMs = Date.now();
    this.#gathering.add(publication);
    // A publisher that gets no receipt cannot be told to wait, and is held up instead.
    if (this.isFull && publication.receipt === null && !this.#isHolding) {
      reached("sender-held-up");
      this.#isHolding = true;
      this.#topic.hold(() => this.#catchUp());
    }
    if (!this.#isRunning) this.#start().catch((error: unknown) => this.#topic.onFailure(error));
    else if (this.#endPause !== null && (isFirst || this.#isRowDue)) this.#endPause();
  }

  /** Puts all that has gathered into the log, and answers for it; it is delivered in its turn. */
  flush(): void {
    while (this.#sequence()) continue;
  }

  async #start(): Promise<void> {
    this.#isRunning = true;
    try {
      await this.#run({ isOver: () => false, rest: () => this.#linger() });
    } finally {
      this.#isRunning = false;
    }
    this.#topic.onIdle();
  }

  /** Sends what has gathered while nobody can add to it, as fast as subscribers read. */
  async #catchUp(): Promise<void> {
    const untilMs = Date.now() + MAX_HOLD_MS;
    try {
      await this.#run({ isOver: () => Date.now() >= untilMs, rest: () => this.#fanOut.beReadTo() });
    } finally {
      this.#isHolding = false;
    }
  }

  /** The loop. While it lingers, another one may run in a hold, and be let go in the middle of a round. */
  async #run(pace: Pace): Promise<void> {
    while (!this.#fanOut.isIdle || this.#sequence()) {
      while (this.#fanOut.serve()) {
        await this.#fanOut.rest();
        if (pace.isOver()) {
          reached("hold-cut-short-in-round");
          return;
        }
      }
      await pace.rest();
      if (pace.isOver()) {
        reached("hold-cut-short-between-rounds");
        return;
      }
    }
  }

  async #linger(): Promise<void> {
    // There was more than one batch takes.
    if (this.#gathering.exceedsBatch) {
      reached("linger-left-out");
      await turn(0);
      return this.#fanOut.beReadTo();
    }
    await turn(LINGER_MS);
    if (this.#log.isDurable) await this.#shareRow();
  }

  /** Lets messages gather for one row, none longer than the policy says. */
  async #shareRow(): Promise<void> {
    if (this.#gathering.isEmpty) {
      await this.#pause(this.#pace.untilDueMs(Date.now(), this.#topic.historyDelayMs()));
      // At rest: the next one finds a row due, and goes at once.
      if (this.#gathering.isEmpty) return;
    }
    if (this.#isRowDue) return;
    const delayMs = this.#topic.historyDelayMs();
    const waitedMs = Date.now() - this.#gatheredSinceMs;
    // A clock that was set back meanwhile makes nobody wait longer.
    await this.#pause(Math.min(delayMs - waitedMs, delayMs));
  }

  /** Waits until it is ended; so long at most. */
  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endPause = () => {
      reached("linger-cut-short");
      resolve();
    };
    await Promise.race([promise, turn(ms)]);
    this.#endPause = null;
  }

  /** Whether what has gathered should wait no longer for more. */
  get #isRowDue(): boolean {
    const delayMs = this.#topic.historyDelayMs();
    const enough = Math.max(ENOUGH_MESSAGES, (delayMs * ENOUGH_MESSAGES_PER_SECOND) / 1000);
    return (
      this.#gathering.messages >= enough ||
      this.#gathering.fillsBatch ||
      this.#pace.untilDueMs(Date.now(), delayMs) === 0
    );
  }

  /** Makes a batch of what has gathered; false when there is nothing. */
  #sequence(): boolean {
    const publications = this.#gathering.take();
    if (publications === null) return false;
    const batch = this.#append(publications);
    const { epoch, offset: head } = this.#log.head;
    let offset = batch === null ? head : batch.place.first - 1;
    for (const { messages, receipt } of publications) {
      offset += messages.length;
      receipt?.ack({ epoch, offset });
    }
    if (batch === null) reached("receipts-alone");
    else this.#fanOut.deliver(batch);
    return true;
  }

  #append(publications: readonly Publication[]): Batch | null {
    try {
      const nowMs = Date.now();
      const batch = this.#log.append(publications, nowMs);
      if (batch !== null) this.#pace.wrote(nowMs, this.#topic.historyDelayMs());
      this.#topic.onAppended();
      return batch;
    } catch (error) {
      // SQLITE_FULL and the like. Publishers see 1006 and no ack, subscribers come back by cursor.
      this.#topic.onLogFailure(error);
      throw error;
    }
  }
}
