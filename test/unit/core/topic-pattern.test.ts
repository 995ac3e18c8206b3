/** PROTOCOL.md, 13.4: which topics a pattern stands for. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesTopic } from "../../../src/core/topic-pattern.ts";

test.each([
  ["news", "news", true],
  ["news", "news/1", false],
  ["news", "New", false],
  ["news/*", "news/1", true],
  ["news/*", "news/", true],
  ["news/*", "news", false],
  ["news/*", "news/1/2", true],
  ["*", "anything at all", true],
  ["a*b", "a*b", true],
  ["a*b", "axb", false],
  ["a**", "a*", true],
  ["a**", "ab", false],
  ["*b", "ab", false],
  ["", "a", false],
  ["*", "*", true],
  // Composed and decomposed: two topics, whatever they look like.
  ["\u00e9", "e\u0301", false],
  ["caf\u00e9*", "cafe\u0301", false],
  ["a%2Fb", "a/b", false],
  // Half of a character is a prefix like others.
  ["\ud83d*", "\ud83d\ude00", true],
])("13.4 %j and the topic %j: %s", (pattern, topic, matches) => {
  expect(matchesTopic(pattern, topic)).toBe(matches);
});

test("13.4 a prefix stands for all that begins with it, and for nothing else", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (prefix, topic) => {
      expect(matchesTopic(`${prefix}*`, prefix + topic)).toBe(true);
      expect(matchesTopic(`${prefix}*`, topic)).toBe(topic.startsWith(prefix));
    }),
  );
});
