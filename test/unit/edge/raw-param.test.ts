/** The path of a request as a parser of URLs gives it, whether or not it was parsed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { pathOf } from "../../../src/edge/raw-param.ts";

/** What a parser would leave alone beside what it would not. */
const PIECES = [
  "/",
  "a",
  "Z9",
  ":",
  "@",
  ".",
  "..",
  "%2e",
  "%2F",
  "%",
  "\\",
  "\t",
  " ",
  "é",
  '"',
  "?",
  "#",
  "!$&'()*+,;=",
  "~_-",
  "|",
  "^",
  "`",
  "{",
];

test("is the one that a parser gives", () => {
  const path = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 12 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(path, (text) => {
      const url = `https://hub.test/v1${text}`;
      expect(pathOf(url)).toBe(new URL(url).pathname);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  "https://hub.test",
  "https://hub.test?a=/b",
  "https://hub.test#/b",
  "http://[::1]:8787/v1/a",
])("of %s, too", (url) => {
  expect(pathOf(url)).toBe(new URL(url).pathname);
});
