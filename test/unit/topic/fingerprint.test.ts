/** PROTOCOL.md, 10.9: what a publish is known by, and whose it is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { formatMessageList } from "../../../src/core/stream.ts";
import { fingerprintOf as fingerprintOfJson } from "../../../src/topic/fingerprint.ts";
import { ownerOf } from "../../../src/topic/owner.ts";
import { messages } from "../support/frames.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";

function fingerprintOf(list: readonly Message[]): number {
  return fingerprintOfJson(formatMessageList(list));
}

function bytes(...values: number[]): ArrayBuffer {
  return new Uint8Array(values).buffer;
}

/** What tells two lists of messages apart, written out. */
function written(list: readonly Message[]): string {
  return JSON.stringify(
    list.map((message) => (typeof message === "string" ? message : [...new Uint8Array(message)])),
  );
}

describe("10.9 a fingerprint", () => {
  test("is a number of 53 bits, the same for the same content", () => {
    fc.assert(
      fc.property(messages, (list) => {
        const copy = list.map((message) =>
          typeof message === "string" ? `${message} `.slice(0, -1) : message.slice(0),
        );
        const fingerprint = fingerprintOf(list);
        expect(Number.isSafeInteger(fingerprint) && fingerprint >= 0).toBe(true);
        expect(fingerprintOf(copy)).toBe(fingerprint);
      }),
    );
  });

  test("differs for all that differs", () => {
    fc.assert(
      fc.property(messages, messages, (one, other) => {
        expect(fingerprintOf(one) === fingerprintOf(other)).toBe(written(one) === written(other));
      }),
    );
  });

  test.each<[string, Message[], Message[]]>([
    ["a text and its bytes", ["ab"], [bytes(97, 0, 98, 0)]],
    ["an empty text and no bytes", [""], [bytes()]],
    ["where a message ends", ["ab", "c"], ["a", "bc"]],
    ["the order", ["a", "b"], ["b", "a"]],
    ["one message and two", ["a"], ["a", ""]],
    ["a last zero", ["a"], ["a\u0000"]],
    ["a last zero byte", [bytes(1)], [bytes(1, 0)]],
    ["zeros in front", [bytes(0, 0, 0, 0, 1)], [bytes(0, 1)]],
    ["the high bit of a unit", ["a\u0001"], ["a\u8001"]],
    ["high bits alone", ["\u0001\u8001\u0001\u0001"], ["\u0001\u0001\u0001\u8001"]],
  ])("tells %s apart", (_, one, other) => {
    expect(fingerprintOf(one)).not.toBe(fingerprintOf(other));
  });

  test("has no two alike among many that are nearly alike", () => {
    const seen = new Set<number>();
    for (let n = 0; n < 100_000; n++) seen.add(fingerprintOf([`{"n":${n}}`]));
    for (let n = 0; n < 65_536; n++) seen.add(fingerprintOf([`x${String.fromCharCode(n)}`]));
    for (let n = 0; n < 65_536; n++) seen.add(fingerprintOf([bytes(n & 255, n >> 8)]));
    expect(seen.size).toBe(231_072);
  });

  test("of a long text differs wherever the text does", () => {
    // Longer than what is hashed at a time, which ends in the middle of a character.
    const text = `${"x".repeat(65_533)}${"€😀".repeat(300)}${"y".repeat(66_000)}`;
    const seen = new Set([fingerprintOf([text])]);
    const places = [0, 1, 2, 3, 4, 5, 6, 7, 65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 66_000];
    places.push(66_500, 67_000, 100_000, text.length - 1);
    for (const at of places)
      seen.add(fingerprintOf([`${text.slice(0, at)}!${text.slice(at + 1)}`]));
    for (let more = 1; more <= 9; more++) seen.add(fingerprintOf([text + "y".repeat(more)]));
    expect(seen.size).toBe(1 + places.length + 9);
  });

  test.each([300, 65_530, 65_531, 65_532, 65_533, 65_534, 131_070])(
    "knows characters and halves of pairs apart, also behind %i others",
    (length) => {
      const before = "x".repeat(length);
      const ends = ["😀", "😁", "\ud83d", "\ude00", "\ufffd", "\ufffd\ufffd", "\u0000", "", "x"];
      const seen = new Set(ends.map((end) => fingerprintOf([before + end])));
      expect(seen.size).toBe(ends.length);
    },
  );

  test("of a long text has nothing of the long text before it", () => {
    const one = "x".repeat(301);
    const fingerprint = fingerprintOf([one]);
    fingerprintOf(["y".repeat(100_000)]);
    expect(fingerprintOf([one])).toBe(fingerprint);
  });

  test.each([
    ["short", ""],
    ["long", "x".repeat(300)],
  ])("spreads over all its bits, in both halves: a %s one", (_, before) => {
    const set = Array<number>(53).fill(0);
    for (let n = 0; n < 4096; n++) {
      const fingerprint = fingerprintOf([before + n]);
      const [low, high] = [fingerprint % 2 ** 32, Math.floor(fingerprint / 2 ** 32)];
      for (let bit = 0; bit < 53; bit++) {
        const half = bit < 32 ? low >>> bit : high >>> (bit - 32);
        set[bit] = (set[bit] ?? 0) + (half & 1);
      }
    }
    for (const count of set) expect(Math.abs(count - 2048)).toBeLessThan(256);
  });

  test("has no two alike among many long ones that are nearly alike", () => {
    const seen = new Set<number>();
    for (let n = 0; n < 50_000; n++) seen.add(fingerprintOf(["x".repeat(300) + n]));
    for (let n = 0; n < 50_000; n++) seen.add(fingerprintOf([n + "x".repeat(300)]));
    expect(seen.size).toBe(100_000);
  });

  test("is what it was: those that are stored must compare", () => {
    expect(fingerprintOf(["€".repeat(70_000)])).toBe(4_363_491_914_926_553);
    expect(fingerprintOf(["text", bytes(0, 255, 128, 7, 9)])).toBe(6_184_169_659_643_358);
  });
});

test("10.9 an owner is a key, whatever renews it, or a subject, or nobody", () => {
  expect(ownerOf(keyGrant({ keyId: 7 }))).toBe(7);
  expect(ownerOf(keyGrant({ keyId: 7, expiresAtMs: 1 }))).toBe(7);
  expect(ownerOf(null)).toBe(0);
  const [one, other] = ["one", "other"].map((subject) => ownerOf(tokenGrant(1, { subject })));
  expect(one).toBe(ownerOf(tokenGrant(2, { subject: "one" })));
  expect(one).not.toBe(other);
  for (const owner of [one, other]) expect(owner).toBeLessThan(0);
});
