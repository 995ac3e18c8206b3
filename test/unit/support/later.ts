/** The key store's clock in tests. */
import { expect } from "vitest";

let lastMs = 0;
let file: string | undefined;

/** Now, and later than any time before in this file: another file's may have been of a clock that was put forward. */
export function later(): number {
  const { testPath } = expect.getState();
  if (testPath !== file) [file, lastMs] = [testPath, 0];
  lastMs = Math.max(Date.now(), lastMs + 1);
  return lastMs;
}
