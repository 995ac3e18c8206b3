/** The one measure of size, against the encoder itself. */
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { byteLengthOf, bytesOf, isLargerThan, mostBytesOf } from "../../../src/core/byte-size.ts";
import type { Message } from "../../../src/core/message.ts";

afterEach(() => vi.restoreAllMocks());

function truth(message: Message): number {
  return typeof message === "string"
    ? new TextEncoder().encode(message).byteLength
    : message.byteLength;
}

/** Of any length around those that decide how it is counted. */
const anyText = fc
  .tuple(
    fc.constantFrom(0, 40, 1000, 16_370, 32_750),
    fc.constantFrom("a", "é", "€"),
    fc.string({ unit: "binary" }),
  )
  .map(([length, filler, rest]) => filler.repeat(length) + rest + filler);
const anyMessage = fc.oneof(
  anyText.filter((text) => text.isWellFormed()),
  fc.nat(50).map((length) => new ArrayBuffer(length)),
);

describe("byteLengthOf", () => {
  test("is what the encoder makes of a text", () => {
    fc.assert(fc.property(anyText, (text) => byteLengthOf(text) === truth(text)));
  });

  test.each([47, 48, 16_383, 16_384, 16_385, 32_767, 32_768, 50_000])(
    "a pair at %d is never cut",
    (units) => {
      for (const text of ["a".repeat(units - 1) + "😀".repeat(3), "😀".repeat(units / 2)]) {
        expect(byteLengthOf(text)).toBe(truth(text));
      }
    },
  );

  test.each(["\ud800", "\udc00", "\udc00\ud800", "a\ud800a", "\ud800".repeat(60), "\ud800é"])(
    "half a pair counts as what is sent in its place, case %#",
    (text) => expect(byteLengthOf(text)).toBe(truth(text)),
  );
});

describe("several messages", () => {
  test("are as large as each of them, and never larger than at most", () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 40 }), (messages) => {
        const bytes = messages.reduce((sum, message) => sum + truth(message), 0);
        expect(bytesOf(messages)).toBe(bytes);
        expect(mostBytesOf(messages)).toBeGreaterThanOrEqual(bytes);
      }),
    );
  });

  test("are counted whole, however many short ones there are", () => {
    const texts = Array.from({ length: 100 }, () => "é".repeat(500));
    expect(bytesOf(texts)).toBe(100_000);
  });

  test("three bytes a unit are not too few, and no more than needed", () => {
    expect(mostBytesOf(["€€", new ArrayBuffer(5)])).toBe(11);
  });
});

describe("isLargerThan", () => {
  test.each(["aaaa", "éé", "€a", "😀"])("%s has four bytes", (text) => {
    expect([3, 4].map((maxBytes) => isLargerThan(text, maxBytes))).toEqual([true, false]);
  });

  test("counts only what its length does not decide", () => {
    const encode = vi.spyOn(TextEncoder.prototype, "encodeInto");
    const text = "a".repeat(3000);
    expect([isLargerThan(text, 2999), isLargerThan(text, 9000)]).toEqual([true, false]);
    expect(encode).not.toHaveBeenCalled();
    expect(isLargerThan(text, 8999)).toBe(false);
    expect(encode).toHaveBeenCalled();
  });
});
