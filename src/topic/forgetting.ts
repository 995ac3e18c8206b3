/**
 * Forgetting: all that was published on a topic goes, in storage and in memory, and what comes next has a new epoch.
 * Publishers and subscribers stay. Knows no HTTP, and nothing of rights.
 * Invariant: storage forgets all of it in one step; after a crash it is all there, or nothing is.
 */
import type { Alarm } from "./alarm.ts";
import type { FinishedLife } from "./finished-life.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import type { Vacancy } from "./vacancy.ts";

/** The parts of a topic that have anything to forget. */
export interface ForgettingParts {
  readonly alarm: Pick<Alarm, "rearm">;
  readonly finished: FinishedLife;
  readonly lifecycle: Pick<Lifecycle, "passTime" | "rememberLog" | "state">;
  readonly log: Log;
  readonly storage: DurableObjectStorage;
  readonly vacancy: Pick<Vacancy, "empty">;
}

/** The forgetting of one topic. */
export class Forgetting {
  readonly #parts: ForgettingParts;

  constructor(parts: ForgettingParts) {
    this.#parts = parts;
  }

  /** Forgets what was published; says how many messages could be read. Where it throws the object must begin anew. */
  forget(): number {
    const { alarm, finished, lifecycle, log, storage, vacancy } = this.#parts;
    const nowMs = Date.now();
    lifecycle.passTime(nowMs);
    const messages = log.countReadable(nowMs);
    const goesOn = lifecycle.state.phase !== "vacant";
    storage.transactionSync(() => {
      finished.forget();
      log.forget({ goesOn });
    });
    vacancy.empty();
    lifecycle.rememberLog();
    alarm.rearm();
    return messages;
  }
}
