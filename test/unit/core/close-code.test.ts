/** PROTOCOL.md, section 8: close codes and their answers. */
import { describe, expect, test } from "vitest";
import * as closes from "../../../src/core/close-code.ts";

const INVALID_CODE = { code: 1002, reason: "" };
const INVALID_REASON = { code: 1007, reason: "" };

describe("answerTo", () => {
  test.each([1000, 1001, 1003, 1007, 1014, 2999, 3000, 4999])("8.2 echoes %d", (code) => {
    for (const reason of ["", "why not", "x".repeat(123), "é".repeat(61)]) {
      expect(closes.answerTo(code, reason)).toEqual({ code, reason });
    }
  });

  test("8.2 answers a frame without a code with one without a code", () => {
    expect(closes.answerTo(1005, "")).toBe(null);
  });

  test.each([0, 1, 999, 1004, 1006, 1015, 5000, 65_535])(
    "8.4 a code that nobody may send is answered with 1002: %d",
    (code) => {
      expect(closes.answerTo(code, "why not")).toEqual(INVALID_CODE);
    },
  );

  test.each([
    ["is too long", "x".repeat(124)],
    ["is too long in bytes", "é".repeat(62)],
    ["was cut in mid-character", "caf\uFFFD"],
    ["ends with half a pair", "\uD83D"],
  ])("8.4 a reason that %s is answered with 1007", (_, reason) => {
    expect(closes.answerTo(1000, reason)).toEqual(INVALID_REASON);
  });
});

test("8.1 every reason fits into a Close frame and every code may be sent", () => {
  const { answerTo: _, closeAtEnd: _end, ...codes } = closes;
  for (const { code, reason } of Object.values(codes)) {
    expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(123);
    expect(closes.answerTo(code, reason)).toEqual({ code, reason });
  }
});
