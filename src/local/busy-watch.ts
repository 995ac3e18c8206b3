/**
 * Says that Postgres is busy while it is: a statement holds up PGlite's whole thread, so that another thread
 * must watch. It sleeps until something begins.
 */
import { writeSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";

/** Milliseconds after which it is said: as long as the hub waits for its key store. */
export const BUSY_MS = 2000;

const STDERR = 2;

/** The watch; one a process. */
export class BusyWatch {
  /** Grows with every begin and every end; odd: busy. */
  readonly #count = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  constructor() {
    new Worker(new URL(import.meta.url), { workerData: this.#count }).unref();
  }

  /** Runs something that may hold up the thread. */
  async during(work: () => Promise<void>): Promise<void> {
    this.#step();
    try {
      await work();
    } finally {
      this.#step();
    }
  }

  #step(): void {
    Atomics.add(this.#count, 0, 1);
    Atomics.notify(this.#count, 0);
  }
}

function watch(count: Int32Array): never {
  for (;;) {
    const seen = Atomics.load(count, 0);
    const isBusy = seen % 2 !== 0;
    if (isBusy && Atomics.wait(count, 0, seen, BUSY_MS) === "timed-out") {
      // Not by console.error, which would go through the thread that is held up.
      writeSync(STDERR, "Postgres is busy with one statement of a client: the hub waits\n");
    }
    Atomics.wait(count, 0, seen);
  }
}

if (!isMainThread && workerData instanceof Int32Array) watch(workerData);
