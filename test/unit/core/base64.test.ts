/** RFC 4648, section 4, the runtime's own and with what older ones have. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "../../../src/core/base64.ts";
import { binary } from "../support/frames.ts";

/** Makes the runtime one that has none of its own; returns what gives it back. */
function hideBuiltIn(): () => void {
  const builtIn = Object.getOwnPropertyDescriptor(Uint8Array, "fromBase64");
  if (builtIn === undefined) throw new Error("There is nothing to hide");
  Reflect.deleteProperty(Uint8Array, "fromBase64");
  return () => void Object.defineProperty(Uint8Array, "fromBase64", builtIn);
}

function nothing(): void {}

describe.each([
  { name: "the runtime's own", hide: () => nothing },
  { name: "btoa and atob", hide: hideBuiltIn },
])("base64 by $name", ({ hide }) => {
  let restore: () => void = nothing;
  beforeEach(() => {
    restore = hide();
  });
  afterEach(() => restore());

  // RFC 4648, section 10, and the two characters that base64url has not.
  test.each([
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foobar", "Zm9vYmFy"],
    ["\xfb\xff\xbf", "+/+/"],
    ["\x00", "AA=="],
  ])("10.2 %j is %j", (characters, text) => {
    const bytes = Uint8Array.from(characters, (character) => character.charCodeAt(0)).buffer;
    expect(encodeBase64(bytes)).toBe(text);
    expect(decodeBase64(text)).toEqual(bytes);
  });

  test("10.2 bytes are read as they were written", () => {
    fc.assert(
      fc.property(binary, (bytes) => {
        expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
      }),
    );
  });

  test("10.2 a megabyte is read as it was written", () => {
    const bytes = new Uint8Array(1024 * 1024).map((_, index) => index % 251).buffer;
    const read = decodeBase64(encodeBase64(bytes));
    expect(read !== null && new Uint8Array(read).every((byte, n) => byte === n % 251)).toBe(true);
    expect(read?.byteLength).toBe(bytes.byteLength);
  });

  test.each([
    ["characters of base64url", "-_-_"],
    ["no padding", "Zg"],
    ["half the padding", "Zg="],
    ["too much padding", "Zm9v===="],
    ["padding within", "Zg==Zg=="],
    ["bits behind the last byte", "Zh=="],
    ["one character", "Z"],
    ["white space", "Zm 9v"],
    ["white space alone", " "],
    ["a line's end", "Zm9v\n"],
    ["other characters", "Zm9é"],
  ])("10.2 %s is none", (_, text) => {
    expect(decodeBase64(text)).toBe(null);
  });
});

test("10.2 both ways agree on any text", () => {
  const texts = fc.oneof(fc.base64String(), fc.stringMatching(/^[A-Za-z0-9+/= _-]{0,12}$/));
  fc.assert(
    fc.property(texts, (text) => {
      const byItsOwn = decodeBase64(text);
      const restore = hideBuiltIn();
      try {
        expect(decodeBase64(text)).toEqual(byItsOwn);
      } finally {
        restore();
      }
    }),
    { numRuns: 1000 },
  );
});
