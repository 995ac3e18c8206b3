/**
 * How long who has posted to a shared topic counts as one of its publishers: for a moment beyond the last post, so that
 * posts that follow each other begin no life each, of which the domain would have to be told. In memory alone: after a
 * crash the topic is like one whose publishers are gone.
 */

/** Beyond the last post. The object stays awake for it, which costs more than a life does after some seconds. */
const STAY_MS = 2000;

/** The stay of one topic's posters. */
export class Stay {
  readonly #onOver: () => void;
  #timer: number | null = null;

  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** Whether somebody posted just now. */
  get isOn(): boolean {
    return this.#timer !== null;
  }

  /** Somebody posts. */
  prolong(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#onOver();
    }, STAY_MS);
  }
}
