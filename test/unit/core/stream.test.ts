/** PROTOCOL.md, section 10: the codec against itself, against hostile input, and against the document. */
import { Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import protocol from "../../../PROTOCOL.md?raw";
import type { Message } from "../../../src/core/message.ts";
import {
  END_FRAME,
  formatAck,
  formatError,
  formatGap,
  formatMessageList,
  formatMessages,
  formatOpen,
  joinMessageLists,
  parseCredit,
  parseMessageList,
  parsePublish,
} from "../../../src/core/stream.ts";

const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const binary = fc.uint8Array().map((bytes) => new Uint8Array(bytes).buffer);
const messages: fc.Arbitrary<Message[]> = fc.array(fc.oneof(text, binary), {
  minLength: 1,
  maxLength: 20,
});
const ids = fc.stringMatching(/^[!-~]{1,64}$/);
const cursor = "k3x9q0v7h2ma-43";

/** The code blocks of PROTOCOL.md with an info string. */
function blocks(info: string): string[] {
  return protocol
    .split("\n```")
    .filter((part) => part.startsWith(`${info}\n`))
    .map((part) => part.slice(info.length + 1));
}

const [schema = ""] = blocks("json schema");
const grammar = new Validator(JSON.parse(schema), "2020-12");

describe("message lists", () => {
  test("10.2 are read as they were written", () => {
    fc.assert(
      fc.property(messages, (value) => {
        expect(parseMessageList(formatMessageList(value))).toEqual(value);
      }),
    );
  });

  test("10.4 joined are one", () => {
    fc.assert(
      fc.property(fc.array(messages, { minLength: 1, maxLength: 5 }), (lists) => {
        expect(joinMessageLists(lists.map(formatMessageList))).toBe(
          formatMessageList(lists.flat()),
        );
      }),
    );
  });

  test("what this codec did not write is no list", () => {
    expect(() => parseMessageList("[1]")).toThrow("messages[0]");
    expect(() => parseMessageList("null")).toThrow();
  });
});

describe("parsePublish", () => {
  test("10.7 reads what a publisher writes, unknown members included", () => {
    fc.assert(
      fc.property(ids, messages, fc.jsonValue(), (id, value, other) => {
        const list = formatMessageList(value);
        const frame = `{"type":"publish","id":${JSON.stringify(id)},"messages":${list},"x":${JSON.stringify(other)}}`;
        expect(parsePublish(frame)).toEqual({ ok: true, value: { id, messages: value } });
      }),
    );
  });

  test.each([
    ["", null, "Expected JSON, found a fault in its syntax"],
    ['{"type":"publish",', null, /^Expected JSON, found a fault/],
    [
      '{"type":"publish","id":"1","messages":["a"]',
      null,
      /^Expected JSON, found a fault at position 43$/,
    ],
    [new ArrayBuffer(3), null, "Expected a text frame"],
    ["null", null, "Expected a JSON object"],
    ["[]", null, "Expected a JSON object"],
    ["{}", null, 'Expected "type" to be "publish"'],
    ['{"type":"subscribe"}', null, 'Expected "type" to be "publish"'],
    ['{"id":"1"}', "1", 'Expected "type" to be "publish"'],
    ['{"type":"publish","messages":["a"]}', null, /"id"/],
    ['{"type":"publish","id":7,"messages":["a"]}', null, /"id"/],
    ['{"type":"publish","id":"","messages":["a"]}', null, /"id"/],
    ['{"type":"publish","id":"a b","messages":["a"]}', null, /"id"/],
    [`{"type":"publish","id":"${"x".repeat(65)}","messages":["a"]}`, null, /"id"/],
    ['{"type":"publish","id":"1"}', "1", /"messages"/],
    ['{"type":"publish","id":"1","messages":"a"}', "1", /"messages"/],
    ['{"type":"publish","id":"1","messages":[]}', "1", /"messages"/],
    [JSON.stringify({ type: "publish", id: "1", messages: Array(1001).fill("") }), "1", /1000/],
    ['{"type":"publish","id":"1","messages":["a",1]}', "1", /"messages\[1\]"/],
    ['{"type":"publish","id":"1","messages":[null]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[["a"]]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":1}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":"A"}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":"AP-A"}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":"AA"}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":"AA A="}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":[{"base64":" "}]}', "1", /"messages\[0\]"/],
    ['{"type":"publish","id":"1","messages":["\\ud800"]}', "1", /"messages\[0\]".*surrogate/],
  ])("10.10 refuses %j and says where", (frame, id, detail) => {
    const pattern = typeof detail === "string" ? new RegExp(`^${detail}$`) : detail;
    expect(parsePublish(frame)).toEqual({
      ok: false,
      error: { id, detail: expect.stringMatching(pattern) },
    });
  });

  test("10.10 never throws and never repeats what it was sent", () => {
    const frames = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc
        .record(
          { type: fc.constant("publish"), id: fc.jsonValue(), messages: fc.jsonValue() },
          { requiredKeys: ["type"] },
        )
        .map((frame) => JSON.stringify(frame)),
    );
    fc.assert(
      fc.property(frames, (frame) => {
        const parsed = parsePublish(frame);
        const credit = parseCredit(frame);
        for (const result of [parsed, credit]) {
          const detail = result.ok ? "Expected nothing" : result.error.detail;
          expect(detail).toMatch(/^Expected [\x20-\x7e…]+$/u);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("parseCredit", () => {
  test("11.3 reads a cursor", () => {
    expect(parseCredit(`{"type":"ack","cursor":"${cursor}"}`)).toEqual({
      ok: true,
      value: { epoch: "k3x9q0v7h2ma", offset: 43 },
    });
  });

  test.each(["x", "{}", '{"type":"ack"}', '{"type":"ack","cursor":"43"}', new ArrayBuffer(1)])(
    "10.10 refuses %j",
    (frame) => {
      expect(parseCredit(frame).ok).toBe(false);
    },
  );

  test("11.5 reads up to 256 characters, unknown members included", () => {
    const [head, tail] = [`{"type":"ack","cursor":"${cursor}","x":"`, '"}'];
    const rest = "x".repeat(256 - head.length - tail.length);
    expect(parseCredit(head + rest + tail).ok).toBe(true);
    const detail = "Expected at most 256 characters";
    expect(parseCredit(`${head}${rest}x${tail}`)).toEqual({
      ok: false,
      error: { id: null, detail },
    });
  });
});

describe("the grammar in PROTOCOL.md", () => {
  const examples = blocks("jsonl examples").flatMap((block) => block.trim().split("\n"));

  test("10.13 there is an example of every frame", () => {
    const types = new Set(examples.map((example) => JSON.parse(example).type));
    expect(types).toEqual(new Set(["ack", "end", "error", "gap", "messages", "open", "publish"]));
  });

  test.each(examples)("10.12 allows the example %s", (example) => {
    expect(grammar.validate(JSON.parse(example)).errors).toEqual([]);
  });

  test("10.13 the examples are what the codec writes", () => {
    const bytes = new Uint8Array([0, 255, 128]).buffer;
    expect(examples).toEqual(
      expect.arrayContaining([
        formatOpen("k3x9q0v7h2ma-41", null),
        formatOpen("k3x9q0v7h2ma-12", false),
        formatGap("k3x9q0v7h2ma-12", "k3x9q0v7h2ma-40"),
        formatMessages(cursor, formatMessageList(["text", bytes])),
        END_FRAME,
        formatAck("5f1c-1", cursor),
        formatError("5f1c-2", {
          slug: "topic-overloaded",
          detail: "Send it again in a second",
          retryAfter: 1,
        }),
      ]),
    );
  });

  test("10.12 allows whatever the codec writes", () => {
    fc.assert(
      fc.property(messages, ids, (value, id) => {
        const list = formatMessageList(value);
        for (const frame of [
          formatMessages(cursor, list),
          `{"type":"publish","id":${JSON.stringify(id)},"messages":${list}}`,
          formatAck(id, cursor),
          formatError(id, { slug: "message-too-large", detail: "" }),
          formatError(null, { slug: "invalid-frame", detail: "" }),
        ]) {
          expect(grammar.validate(JSON.parse(frame)).valid).toBe(true);
        }
      }),
    );
  });

  test.each([
    '{"type":"open","cursor":"k3x9q0v7h2ma-41"}',
    '{"type":"messages","cursor":"k3x9q0v7h2ma-41","messages":[]}',
    '{"type":"messages","cursor":"not a cursor","messages":["a"]}',
    '{"type":"publish","id":"","messages":["a"]}',
    '{"type":"publish","id":"1","messages":[1]}',
    '{"type":"publish","id":"1","messages":[{"base64":1}]}',
    '{"type":"other"}',
    '"end"',
  ])("10.12 refuses %s", (frame) => {
    expect(grammar.validate(JSON.parse(frame)).valid).toBe(false);
  });
});
