/**
 * How a topic's storage fails in a scenario, and whether it has. What it fails at is not known: the hub may lose its
 * sockets at any time, while there is a failure to come.
 */
import { failNextRead, failNextWrite } from "../../support-in-workerd/faults.ts";
import type { Fault } from "../../support-in-workerd/fault-table.ts";
import type { StorageFailure } from "./actions.ts";
import type { TopicHandle } from "./topic-handle.ts";

/** Those of one topic. */
export class StorageFailures {
  readonly #topic: TopicHandle;
  readonly #faults: Fault[] = [];
  /** Whether what is stored may have been unreadable for somebody. */
  hasFailedToRead = false;

  constructor(topic: TopicHandle) {
    this.#topic = topic;
  }

  /** Whether some are to come, or may just have been. */
  get arePending(): boolean {
    return this.#faults.length > 0;
  }

  /** Orders one. */
  order({ kind, after, times, isFatal }: StorageFailure): void {
    const { stub } = this.#topic;
    if (kind === "read") {
      this.hasFailedToRead = true;
      const reads = [{ method: "kv.get" }, { method: "sql.exec" }];
      for (const read of reads) {
        this.#faults.push(failNextRead(stub, { ...read, after, times, isFatal }));
      }
      return;
    }
    // What is written without being waited for breaks the output gate, of which the object dies.
    const methods = isFatal ? [undefined] : ["kv.put", "sql.exec"];
    for (const method of methods) {
      const which = method === undefined ? {} : { method };
      this.#faults.push(failNextWrite(stub, { ...which, after, times, isFatal }));
    }
  }

  /** From now on all goes well. */
  mend(): void {
    for (const fault of this.#faults.splice(0)) fault.stop();
  }
}
