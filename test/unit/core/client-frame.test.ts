/** PROTOCOL.md, 10.7 and 11.3: clients' frames, as they write them and against hostile input. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatFinish,
  formatPublish,
  formatSubscriberAck,
  parsePublish,
  parsePublisherFrame,
  parseSubscriberAck,
} from "../../../src/core/client-frame.ts";
import { parseCursor } from "../../../src/core/cursor.ts";
import { formatMessageList } from "../../../src/core/stream.ts";
import { cursor, ids, messages } from "../support/frames.ts";

describe("publish", () => {
  test("10.7 is read as it was written", () => {
    fc.assert(
      fc.property(ids, messages, (id, value) => {
        const frame = { id, messages: value };
        expect(parsePublish(formatPublish(frame))).toEqual({ ok: true, value: frame });
      }),
    );
  });

  test("10.7 is written as JSON would be", () => {
    const bytes = new Uint8Array([0, 255, 128]).buffer;
    expect(formatPublish({ id: '"\\', messages: ["", "é\u2028\n", bytes] })).toBe(
      JSON.stringify({
        type: "publish",
        id: '"\\',
        messages: ["", "é\u2028\n", { base64: "AP+A" }],
      }),
    );
  });

  test("10.7 names the publish before it, where it must not overtake it", () => {
    fc.assert(
      fc.property(ids, ids, messages, (id, after, value) => {
        const frame = { id, after, messages: value };
        expect(parsePublish(formatPublish(frame))).toEqual({ ok: true, value: frame });
      }),
    );
    expect(formatPublish({ id: "2", after: '"', messages: ["a"] })).toBe(
      JSON.stringify({ type: "publish", id: "2", after: '"', messages: ["a"] }),
    );
  });

  test.each([null, 1, "", "a b", "x".repeat(65), ["1"], {}])(
    "10.10 %j is no id to follow",
    (after) => {
      const detail = 'Expected "after" to be 1 to 64 printable ASCII characters';
      const frame = JSON.stringify({ type: "publish", id: "1", after, messages: ["a"] });
      expect(parsePublish(frame)).toEqual({ ok: false, error: { id: "1", detail } });
    },
  );

  test("10.7 has up to 1,000 messages", () => {
    const thousand = Array.from({ length: 1000 }, (_, n) => String(n));
    const frame = { id: "1", messages: thousand };
    expect(parsePublish(formatPublish(frame))).toEqual({ ok: true, value: frame });
    const more = formatPublish({ id: "1", messages: [...thousand, ""] });
    const detail = 'Expected "messages" to be a list of 1 to 1000 messages';
    expect(parsePublish(more)).toEqual({ ok: false, error: { id: "1", detail } });
    const none = formatPublish({ id: "1", messages: [] });
    expect(parsePublish(none)).toEqual({ ok: false, error: { id: "1", detail } });
  });

  test.each([
    ["\ud800", "\ufffd"],
    ["\udc00", "\ufffd"],
    ["a\ud800b", "a\ufffdb"],
    ["\udc00\ud800", "\ufffd\ufffd"],
    ["\ud83d\udc4b", "\ud83d\udc4b"],
  ])("10.7 half a surrogate pair is U+FFFD: %j", (text, message) => {
    const parsed = parsePublish(formatPublish({ id: "1", messages: ["a", text] }));
    expect(parsed).toEqual({ ok: true, value: { id: "1", messages: ["a", message] } });
  });

  test("10.1 is read with members that nobody knows", () => {
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
  ])("10.10 refuses %j and says where", (frame, id, detail) => {
    const pattern = typeof detail === "string" ? new RegExp(`^${detail}$`) : detail;
    expect(parsePublish(frame)).toEqual({
      ok: false,
      error: { id, detail: expect.stringMatching(pattern) },
    });
  });
});

describe("finish", () => {
  test("10.14 is read as it was written, beside publishes", () => {
    fc.assert(
      fc.property(ids, ids, fc.oneof(messages, fc.constant([])), (id, after, value) => {
        const frame = { id, after, messages: value };
        const read = { ok: true, value: { type: "finish", ...frame } };
        expect(parsePublisherFrame(formatFinish(frame))).toEqual(read);
      }),
    );
    expect(formatFinish({ id: "1", messages: [] })).toBe('{"type":"finish","id":"1"}');
    expect(parsePublisherFrame(formatPublish({ id: "1", messages: ["a"] }))).toEqual({
      ok: true,
      value: { type: "publish", id: "1", messages: ["a"] },
    });
  });

  test.each([
    ['{"type":"finish"}', null, /"id"/],
    ['{"type":"finish","id":"1","after":""}', "1", /"after"/],
    ['{"type":"finish","id":"1","messages":[]}', "1", /"messages"/],
    ['{"type":"finish","id":"1","messages":null}', "1", /"messages"/],
    ['{"type":"finish","id":"1","messages":["a",1]}', "1", /"messages\[1\]"/],
    ['{"type":"publish","id":"1"}', "1", /"messages"/],
    ['{"type":"end","id":"1"}', "1", /^Expected "type" to be "publish" or "finish"$/],
  ])("10.10 10.14 refuses %j and says where", (frame, id, detail) => {
    expect(parsePublisherFrame(frame)).toEqual({
      ok: false,
      error: { id, detail: expect.stringMatching(detail) },
    });
  });

  test("10.14 is no publish where only that is taken", () => {
    const detail = 'Expected "type" to be "publish"';
    const finish = formatFinish({ id: "1", messages: ["a"] });
    expect(parsePublish(finish)).toEqual({ ok: false, error: { id: "1", detail } });
  });
});

describe("a subscriber's ack", () => {
  test("11.3 is read as it was written", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-z]{12}-(0|[1-9]\d{0,12})$/), (text) => {
        const value = parseCursor(text);
        expect(parseSubscriberAck(formatSubscriberAck(text))).toEqual({ ok: true, value });
      }),
    );
    expect(parseCursor(cursor)).toEqual({ epoch: "k3x9q0v7h2ma", offset: 43 });
  });

  test.each([
    ["x", /JSON/],
    ["{}", /"type"/],
    [`{"type":"publish","cursor":"${cursor}"}`, /"type"/],
    ['{"type":"ack"}', /"cursor"/],
    ['{"type":"ack","cursor":"43"}', /"cursor"/],
    ['{"type":"ack","cursor":43}', /"cursor"/],
    [`{"type":"ack","cursor":["${cursor}"]}`, /"cursor"/],
    [new ArrayBuffer(1), /text frame/],
  ])("10.10 refuses %j", (frame, detail) => {
    expect(parseSubscriberAck(frame)).toEqual({
      ok: false,
      error: { id: null, detail: expect.stringMatching(detail) },
    });
  });

  test("11.5 has up to 256 characters, unknown members included", () => {
    const [head, tail] = [`{"type":"ack","cursor":"${cursor}","x":"`, '"}'];
    const rest = "x".repeat(256 - head.length - tail.length);
    expect(parseSubscriberAck(head + rest + tail).ok).toBe(true);
    const detail = "Expected at most 256 characters";
    expect(parseSubscriberAck(`${head}${rest}x${tail}`)).toEqual({
      ok: false,
      error: { id: null, detail },
    });
  });

  test("11.5 is far from its bound with the longest cursor", () => {
    const longest = formatSubscriberAck(`${"z".repeat(12)}-${"9".repeat(13)}`);
    expect(parseSubscriberAck(longest).ok).toBe(true);
    expect(longest.length).toBeLessThanOrEqual(128);
  });
});

test("10.10 no frame makes the readers throw or repeat what it has", () => {
  const frames = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc
      .record(
        {
          type: fc.constantFrom("publish", "finish", "ack"),
          id: fc.jsonValue(),
          messages: fc.jsonValue(),
        },
        { requiredKeys: ["type"] },
      )
      .map((frame) => JSON.stringify(frame)),
  );
  fc.assert(
    fc.property(frames, (frame) => {
      for (const result of [
        parsePublish(frame),
        parsePublisherFrame(frame),
        parseSubscriberAck(frame),
      ]) {
        const detail = result.ok ? "Expected nothing" : result.error.detail;
        expect(detail).toMatch(/^Expected [\x20-\x7e…]+$/u);
      }
    }),
    { numRuns: 500 },
  );
});
