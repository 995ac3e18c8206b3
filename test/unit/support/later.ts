/** The key store's clock in tests. */

let lastMs = 0;

/** Now, and later than any time before. */
export function later(): number {
  lastMs = Math.max(Date.now(), lastMs + 1);
  return lastMs;
}
