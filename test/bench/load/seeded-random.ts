/**
 * Random numbers in [0, 1) that are the same in every run: a linear congruential generator, good
 * enough to spread reconnects and for nothing else.
 */
export function createSeededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // The constants of Numerical Recipes; modulus 2^32.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
