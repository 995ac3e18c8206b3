/** PROTOCOL.md, 9.1 and 9.4: cursors and what a subscriber may ask for. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { epochOf, formatCursor, parseCursor } from "../../../src/core/cursor.ts";
import { parseSince } from "../../../src/core/since.ts";

const cursors = fc.record({
  epoch: fc.uint8Array({ minLength: 12, maxLength: 12 }).map(epochOf),
  offset: fc.integer({ min: 0, max: 9_999_999_999_999 }),
});

describe("cursors", () => {
  test("9.1 are read as they were written, URL-safe and at most 64 characters", () => {
    fc.assert(
      fc.property(cursors, (cursor) => {
        const text = formatCursor(cursor);
        expect(text).toMatch(/^[0-9A-Za-z._~-]{1,64}$/);
        expect(parseCursor(text)).toEqual(cursor);
      }),
    );
  });

  test.each([
    "",
    "5",
    "abc-5",
    "k3x9q0v7h2ma",
    "k3x9q0v7h2ma-",
    "k3x9q0v7h2ma-05",
    "K3X9Q0V7H2MA-5",
  ])("9.1 %j is none", (text) => {
    expect(parseCursor(text)).toBeNull();
  });
});

describe("parseSince", () => {
  test.each([
    ["earliest", { type: "earliest" }],
    ["k3x9q0v7h2ma-0", { type: "cursor", cursor: { epoch: "k3x9q0v7h2ma", offset: 0 } }],
    ["30s", { type: "duration", ms: 30_000 }],
    ["5m", { type: "duration", ms: 300_000 }],
    ["2h", { type: "duration", ms: 7_200_000 }],
    ["30d", { type: "duration", ms: 2_592_000_000 }],
    ["-1", { type: "last", count: 1 }],
    ["-100000", { type: "last", count: 100_000 }],
  ])("9.4 reads %j", (text, value) => {
    expect(parseSince(text)).toEqual({ ok: true, value });
  });

  test.each(["", "latest", "0s", "31d", "5", "5 m", "5M", "-0", "-100001", "--5", "1e3s", "-1.5"])(
    "9.4 refuses %j",
    (text) => {
      expect(parseSince(text).ok).toBe(false);
    },
  );

  test("9.4 reads any text or says what would be right", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const parsed = parseSince(text);
        expect(parsed.ok || parsed.error.startsWith('"since" must be ')).toBe(true);
      }),
    );
  });
});
