/** PROTOCOL.md, 14.4 and 14.5: what is told of a publisher's frame without parsing it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatFinish, parsePublish } from "../../../src/core/client-frame.ts";
import {
  countMessages,
  isOverstructured,
  maxPublishUnits,
  mayFinish,
  readId,
} from "../../../src/core/unread-publish.ts";

/** Writes each character as an escape, the longest way there is. */
function escaped(text: string): string {
  const units = Array.from({ length: text.length }, (_, n) => text.charCodeAt(n));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}

describe("mayFinish", () => {
  test("10.14 14.4 tells what is short enough to be parsed, the longest ids included", () => {
    const [id, after] = ["x".repeat(64), '"'.repeat(64)];
    expect(mayFinish(formatFinish({ id, after: id, messages: [] }))).toBe(true);
    expect(mayFinish(formatFinish({ id, after, messages: [] }))).toBe(true);
    expect(mayFinish('{"type":"publish","id":"1","messages":["a"]}')).toBe(false);
    const head = '{"type":"finish","id":"1","x":"';
    const rest = "x".repeat(256 - head.length - 2);
    expect(mayFinish(`${head}${rest}"}`)).toBe(true);
    expect(mayFinish(`${head}${rest}x"}`)).toBe(false);
  });
});

describe("readId", () => {
  test.each([
    ['{"type":"publish","id":"5f1c-1","messages":["a"]}', "5f1c-1"],
    ['{"id":"1"', "1"],
    ['  { "type" : "publish" , "id" : "1" , "messages" : [', "1"],
    ['{"n":-1.5e3,"t":true,"f":false,"z":null,"s":"a\\"b","id":"1",', "1"],
    ['{"id":"a\\"\\u0062\\\\"', 'a"b\\'],
    [`{"type":"publish","x":"${"x".repeat(200)}","id":"1"}`, "1"],
    // Beyond the first 256 characters, or cut by them.
    [`{"type":"publish","x":"${"x".repeat(250)}","id":"1"}`, null],
    [`{"type":"publish","x":"${"x".repeat(210)}","id":"${"y".repeat(64)}"}`, null],
    // Behind the messages, or not the frame's own.
    ['{"type":"publish","messages":["a"],"id":"1"}', null],
    ['{"type":"publish","messages":["\\"id\\":\\"1\\",","a"],"id":"2"}', null],
    ['{"x":{"id":"1"},"id":"2"}', null],
    ['["id","1"]', null],
    ['{"x":"id","1":"2"}', null],
    // No id.
    ['{"type":"publish","messages":["a"]}', null],
    ['{"id":7}', null],
    ['{"id":""}', null],
    ['{"id":"a b"}', null],
    ['{"id":"\\q"}', null],
    [`{"id":"${"x".repeat(65)}"}`, null],
    ["", null],
    ["hello", null],
  ])("14.4 of %j is %j", (frame, id) => {
    expect(readId(frame)).toBe(id);
  });

  test("14.4 is what parsing would have found, or nothing", () => {
    const members = fc.dictionary(fc.constantFrom("type", "id", "x", '"'), fc.jsonValue());
    fc.assert(
      fc.property(members, fc.stringMatching(/^[!-~]{1,64}$/), (others, id) => {
        const frame = JSON.stringify({ ...others, id });
        const parsed = parsePublish(frame);
        expect([parsed.ok ? null : parsed.error.id, null]).toContain(readId(frame));
      }),
    );
  });

  test.each(['"\\', '""', '{"":', '"":"",', '"id":7,', "\\\\", " "])(
    "14.4 is soon done with many %j",
    (part) => {
      expect(readId(`{${part.repeat(1_000_000)}`)).toBe(null);
    },
  );
});

describe("countMessages", () => {
  test.each([
    [["a"], 1],
    [["a", "b", "c"], 3],
    [["a", { base64: "AP+A" }, "b", { base64: "" }], 4],
    [['","', "b"], 2],
    [Array.from({ length: 1000 }, String), 1000],
    [Array.from({ length: 5000 }, String), 1000],
    // A message for each 32 KiB that have begun.
    [["x".repeat(100_000)], 4],
  ])("14.4 is right for an ordinary publish (%#)", (messages, count) => {
    const publish = { type: "publish", id: "1", messages };
    expect(countMessages(JSON.stringify(publish))).toBe(count);
    expect(countMessages(JSON.stringify(publish, null, 2))).toBe(count);
  });

  test("14.4 is at least 1 and at most 1,000", () => {
    for (const frame of ["", "{}", '","'.repeat(9999), "x".repeat(2 ** 26)]) {
      expect(countMessages(frame)).toBeGreaterThanOrEqual(1);
      expect(countMessages(frame)).toBeLessThanOrEqual(1000);
    }
  });
});

describe("maxPublishUnits", () => {
  test("14.5 is enough for a thousand messages of any kind, each character an escape", () => {
    for (const maxBytes of [1, 2, 3, 100]) {
      const binary = `{"${escaped("base64")}":"${escaped(new Uint8Array(maxBytes).toBase64())}"}`;
      for (const message of [`"${escaped("\0".repeat(maxBytes))}"`, binary]) {
        const list = Array.from({ length: 1000 }, () => message).join(" ,\r\n        ");
        const frame = `{"type":"publish","id":"${"x".repeat(64)}","messages":[${list}]}`;
        expect(parsePublish(frame)).toMatchObject({ ok: true });
        expect(frame.length).toBeLessThanOrEqual(maxPublishUnits(maxBytes));
      }
    }
  });

  test("14.5 is bounded by what the domain allows", () => {
    expect(maxPublishUnits(1000)).toBeLessThan(10_000_000);
  });
});

describe("isOverstructured", () => {
  test.each([
    ["lists", "[],"],
    ["objects", "{},"],
    ["numbers", "1,"],
    ["texts", '"",'],
    ["texts with quotes", '"\\"",'],
    ["members", '"a":1,'],
    ["white space", " \n"],
    ["nothing", "["],
  ])("14.5 finds many %s", (_, part) => {
    const frame = `{"type":"publish","id":"1","messages":["a"],"x":[${part.repeat(70_000)}`;
    expect(isOverstructured(frame)).toBe(true);
  });

  test.each([
    ["plain", "x".repeat(1000)],
    ["that are JSON", JSON.stringify(Array.from({ length: 100 }, (_, n) => ({ a: "b", n })))],
    ["that end in a backslash", "\\"],
    ["of backslashes and quotes", '\\"\\\\""'.repeat(100)],
    ["beyond Latin-1", "ж€😀".repeat(100)],
  ])("14.5 lets a thousand texts %s pass, indented too", (_, text) => {
    const messages = Array.from({ length: 1000 }, () => text);
    for (const indent of [0, 4]) {
      const frame = JSON.stringify({ type: "publish", id: "1", messages }, null, indent);
      expect(isOverstructured(frame)).toBe(false);
    }
  });

  test("14.5 counts exactly what is not in strings", () => {
    const rest = fc.stringMatching(/^[[\]{}:,0-9 ]*$/);
    const parts = fc.array(
      fc.oneof(
        rest.map((part) => [part, part.length] as const),
        fc.string({ unit: "binary" }).map((text) => [JSON.stringify(text), 0] as const),
      ),
    );
    fc.assert(
      fc.property(parts, (value) => {
        const text = value.map(([part]) => part).join("");
        const outside = value.reduce((sum, [, units]) => sum + units, 0);
        const frameOf = (units: number): string => text + '""' + " ".repeat(units - outside);
        expect(isOverstructured(frameOf(65_536))).toBe(false);
        expect(isOverstructured(frameOf(65_537))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});
