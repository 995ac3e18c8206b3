/**
 * One question at a time by name: all that ask while it is under way wait for the same answer. Knows nothing of what
 * answers mean, nor of keeping them. Invariant: a question is kept alive by the request that asked it, and by no other.
 * Those that share it wait with patience, since that request may have been cut off: while its query waits in line, and
 * then for as long as a query may take.
 */

/** Lets work outlive the request that began it, as `ctx.waitUntil` does. */
export type KeepAlive = (work: Promise<unknown>) => void;

/** More than a query may take. A question whose request was cut off may never be answered. */
const PATIENCE_MS = 3000;

interface Flight<T> {
  readonly id: number;
  readonly question: Promise<T>;
  readonly query: {
    /** In line: no time passes. */
    isWaiting: boolean;
    begunAtMs: number;
  };
}

/** Questions under way. */
export class SingleFlight<T extends object> {
  readonly #flights: Map<string, Flight<T>> = new Map();
  #begun = 0;

  /** How many questions were begun: a question's number is higher than this if it is begun from now on. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * Asks now, whatever is under way; `land` gets the answer before anybody else, unless it was let go. What is asked
   * may say that its query waits in line, and then that it begins.
   */
  begin(
    name: string,
    ask: (setWaiting: (isWaiting: boolean) => void) => Promise<T>,
    {
      keepAlive,
      land,
    }: { readonly keepAlive: KeepAlive; readonly land: (answer: T, number: number) => void },
  ): Promise<T> {
    this.#begun += 1;
    const id = this.#begun;
    const query = { isWaiting: false, begunAtMs: Date.now() };
    const setWaiting = (isWaiting: boolean): void => {
      query.isWaiting = isWaiting;
      query.begunAtMs = Date.now();
    };
    const question = this.#fly(name, id, () => ask(setWaiting), land);
    this.#flights.set(name, { id, question, query });
    keepAlive(question);
    return question;
  }

  /**
   * Waits for the question that is under way; `null` if there is none whose number is higher than `mark`, `"lost"` if
   * no answer comes of it.
   */
  join(name: string, mark = 0): Promise<T | "lost"> | null {
    const flight = this.#flights.get(name);
    return flight === undefined || flight.id <= mark ? null : this.#wait(name, flight);
  }

  /** Lets a question go: nobody shares it from now on, and its answer does not land. */
  letGo(name: string): void {
    this.#flights.delete(name);
  }

  /** The names of the questions under way. */
  names(): string[] {
    return [...this.#flights.keys()];
  }

  async #fly(
    name: string,
    id: number,
    ask: () => Promise<T>,
    land: (answer: T, number: number) => void,
  ): Promise<T> {
    try {
      const answer = await ask();
      if (this.#flights.get(name)?.id === id) land(answer, id);
      return answer;
    } finally {
      this.#end(name, id);
    }
  }

  async #wait(name: string, { id, question, query }: Flight<T>): Promise<T | "lost"> {
    const { promise: outOfPatience, resolve } = Promise.withResolvers<"lost">();
    let timer: number | null = null;
    const wait = (): void => {
      const restMs = query.isWaiting ? PATIENCE_MS : query.begunAtMs + PATIENCE_MS - Date.now();
      if (restMs > 0) timer = setTimeout(wait, restMs);
      else resolve("lost");
    };
    wait();
    try {
      const answer = await Promise.race([question, outOfPatience]);
      if (answer !== "lost") return answer;
    } catch {
      // The runtime rejects it to others when the request that asked is over ("created by a request that has since
      // ended"). If asking failed, whoever asked says so.
    } finally {
      clearTimeout(timer);
    }
    this.#end(name, id);
    return "lost";
  }

  #end(name: string, id: number): void {
    if (this.#flights.get(name)?.id === id) this.#flights.delete(name);
  }
}
