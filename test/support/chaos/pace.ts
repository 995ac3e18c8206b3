/**
 * Keeps a publisher from running away from the reader beside it: what waits for a reader that is cut off must fit what
 * a connection lets through, or it never comes any further.
 */

const MOST_AHEAD = 200;

/** The pace of one publisher and one reader. */
export class Pace {
  #read = 0;
  #goOn: () => void = () => {};

  /** So many messages are read. */
  hasRead(messages: number): void {
    this.#read = messages;
    this.#goOn();
  }

  /** Resolves when a publisher of so many messages is not too far ahead. */
  async isNear(published: number): Promise<void> {
    while (published - this.#read > MOST_AHEAD) {
      await new Promise<void>((resolve) => (this.#goOn = resolve));
    }
  }
}
