/**
 * How long a client that has posted to a shared topic counts as one of its publishers: for a moment beyond the last
 * post, so that posts that follow each other begin no life each, of which the domain would have to be told. In memory
 * alone: after a crash the topic is like one whose publishers are gone.
 */

/** A stay ends after one of these without a post. The object stays awake for it, which soon costs more than a life. */
const STEP_MS = 1500;

/** The stay of one topic's posters. */
export class Stay {
  readonly #onOver: () => void;
  #isOn = false;
  #isProlonged = false;

  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** Whether somebody posted just now. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Somebody posts. One timer serves all posts of a step: to set one costs as much as a post's place in the log. */
  prolong(): void {
    this.#isProlonged = this.#isOn;
    if (this.#isOn) return;
    this.#isOn = true;
    setTimeout(() => this.#step(), STEP_MS);
  }

  #step(): void {
    this.#isOn = false;
    if (this.#isProlonged) this.prolong();
    else this.#onOver();
  }
}
