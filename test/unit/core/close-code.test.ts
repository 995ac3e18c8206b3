/** PROTOCOL.md, section 8: close codes and their answers. */
import { describe, expect, test } from "vitest";
import * as closes from "../../../src/core/close-code.ts";

describe("answerTo", () => {
  test.each([
    [1000, 1000],
    [1001, 1001],
    [3000, 3000],
    [4999, 4999],
    [1005, null],
    [1006, 1000],
    [1015, 1000],
  ])("8.2 answers %d with %s", (code, answer) => {
    expect(closes.answerTo(code)).toBe(answer);
  });
});

test("8.1 every reason fits into a Close frame and every code may be sent", () => {
  const { answerTo: _, ...codes } = closes;
  for (const { code, reason } of Object.values(codes)) {
    expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(123);
    expect(closes.answerTo(code)).toBe(code);
  }
});
