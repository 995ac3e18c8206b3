/** PROTOCOL.md, 10.1 to 10.8: the hub's frames, as it writes them, as a later hub may, and as none may. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { END_REASONS } from "../../../src/core/end-reason.ts";
import { HEARTBEAT_RESPONSE } from "../../../src/core/heartbeat.ts";
import {
  formatAck,
  formatEnd,
  formatError,
  formatGap,
  formatMessages,
  formatOpen,
  parseHubFrame,
  type HubFrame,
} from "../../../src/core/hub-frame.ts";
import { problemDetails, PROBLEMS, type ProblemSlug } from "../../../src/core/problem.ts";
import { formatMessageList } from "../../../src/core/stream.ts";
import { cursor, cursors, ids, messages } from "../support/frames.ts";

const slugs = Object.keys(PROBLEMS) as ProblemSlug[];
const problems = fc.record(
  {
    slug: fc.constantFrom(...slugs),
    detail: fc.string({ unit: "binary" }),
    retryAfter: fc.nat(),
  },
  { requiredKeys: ["slug", "detail"] },
);

/** As far as they have four digits of a year. */
const times = fc.integer({ min: 0, max: Date.UTC(9999, 0) });

type Pair = readonly [written: string, read: HubFrame];

function pair(written: string, read: HubFrame): Pair {
  return [written, read];
}

/** Frames as the hub writes them, and as they must be read. */
const frames: fc.Arbitrary<Pair> = fc.oneof(
  fc
    .tuple(cursors, fc.constantFrom(true, false, null))
    .map(([place, recovered]) =>
      pair(formatOpen(place, recovered), { type: "open", cursor: place, recovered }),
    ),
  fc.tuple(cursors, messages, fc.boolean(), times).map(([place, value, isJoined, atMs]) => {
    const { length: count } = value;
    const at = isJoined ? value.map((_, n) => ({ count: 1, atMs: atMs + n })) : [{ count, atMs }];
    return pair(formatMessages(place, at, formatMessageList(value)), {
      type: "messages",
      cursor: place,
      at,
      messages: value,
    });
  }),
  fc
    .tuple(cursors, cursors)
    .map(([from, to]) => pair(formatGap(from, to), { type: "gap", from, to })),
  fc.constantFrom(...END_REASONS).map((reason) => pair(formatEnd(reason), { type: "end", reason })),
  fc
    .tuple(ids, cursors)
    .map(([id, place]) => pair(formatAck(id, place), { type: "ack", id, cursor: place })),
  fc
    .tuple(fc.oneof(ids, fc.constant(null)), problems)
    .map(([id, problem]) =>
      pair(formatError(id, problem), { type: "error", id, problem: problemDetails(problem) }),
    ),
);

function detailOf(frame: string | ArrayBuffer): string | null {
  const parsed = parseHubFrame(frame);
  return parsed.ok ? null : parsed.error;
}

describe("the hub's frames", () => {
  test("10.3 to 10.8 are read as they were written", () => {
    fc.assert(
      fc.property(frames, ([written, read]) => {
        expect(parseHubFrame(written)).toEqual({ ok: true, value: read });
      }),
      { numRuns: 500 },
    );
  });

  test("10.1 are read without members that nobody knows, wherever they stand", () => {
    fc.assert(
      fc.property(frames, fc.jsonValue(), ([written, read], value) => {
        const { problem, ...members } = JSON.parse(written);
        const frame = {
          x: value,
          ...members,
          ...(problem !== undefined && { problem: { x: value, ...problem } }),
          v: 2,
        };
        expect(parseHubFrame(JSON.stringify(frame))).toEqual({ ok: true, value: read });
      }),
    );
  });

  test("10.2 a binary message is read with members that nobody knows", () => {
    const list = '["",{"base64":"AP+A","x":1}]';
    const bytes = new Uint8Array([0, 255, 128]).buffer;
    const at = [{ count: 2, atMs: 5 }];
    expect(parseHubFrame(formatMessages(cursor, at, list))).toEqual({
      ok: true,
      value: { type: "messages", cursor, at, messages: ["", bytes] },
    });
  });

  test("10.4 of more messages than a publish has are read", () => {
    const many = Array.from({ length: 1001 }, (_, n) => String(n));
    const at = [{ count: 1001, atMs: 5 }];
    expect(parseHubFrame(formatMessages(cursor, at, formatMessageList(many)))).toEqual({
      ok: true,
      value: { type: "messages", cursor, at, messages: many },
    });
  });

  test("10.4 a hub of before says no time", () => {
    expect(parseHubFrame('{"type":"messages","cursor":"a-1","messages":["a"]}')).toEqual({
      ok: true,
      value: { type: "messages", cursor: "a-1", at: null, messages: ["a"] },
    });
  });

  const T = "2026-11-27T09:30:00.125Z";
  test.each([
    [null],
    [0],
    ["2026-11-27T09:30:00Z"],
    ["2026-13-27T09:30:00.125Z"],
    [{ 0: 2, 1: T }],
    [[]],
    [[[1, T]]],
    [
      [
        [1, T],
        [2, T],
      ],
    ],
    [[[3, T]]],
    [
      [
        [2, T],
        [0, T],
      ],
    ],
    [
      [
        [3, T],
        [-1, T],
      ],
    ],
    [
      [
        [0.5, T],
        [1.5, T],
      ],
    ],
    [[["2", T]]],
    [[[2]]],
    [[2, T]],
  ])("10.4 %j is no time of two messages", (at) => {
    const frame = JSON.stringify({ type: "messages", cursor: "a-1", at, messages: ["a", "b"] });
    expect(detailOf(frame)).toMatch(/"at" to be a time/);
  });

  test("10.4 a time takes 40 bytes of a frame at most", () => {
    const frame = formatMessages("a-1", [{ count: 1, atMs: Date.UTC(2026, 10, 27) }], '["a"]');
    const bare = JSON.stringify({ type: "messages", cursor: "a-1", messages: ["a"] });
    expect(frame.length - bare.length).toBeLessThanOrEqual(40);
  });

  test.each(['{"type":"end"}', '{"type":"end","reason":"later"}', '{"type":"end","reason":""}'])(
    "10.6 an end is one also where no reason is given that is known: %s",
    (frame) => {
      expect(parseHubFrame(frame)).toEqual({ ok: true, value: { type: "end", reason: null } });
    },
  );

  test.each([null, 1, ["finished"], {}])("10.6 %j is no reason", (reason) => {
    expect(detailOf(JSON.stringify({ type: "end", reason }))).toBe(
      'Expected "reason" to be a text',
    );
  });

  test.each([
    '{"type":"later"}',
    '{"type":""}',
    '{"type":"Open","cursor":7}',
    '{"type":"publish","id":"1","messages":["a"]}',
    '{"type":"unknown"}',
    '{"type":"heartbeat"}',
    '{"type":"constructor"}',
    '{"type":"__proto__"}',
  ])("10.1 of a type that nobody knows are told apart: %s", (frame) => {
    expect(parseHubFrame(frame)).toEqual({ ok: true, value: { type: "unknown" } });
  });

  test("7.2 the answer to a heartbeat is one, and is not JSON", () => {
    expect(parseHubFrame(HEARTBEAT_RESPONSE)).toEqual({ ok: true, value: { type: "heartbeat" } });
    expect(parseHubFrame(JSON.stringify(HEARTBEAT_RESPONSE)).ok).toBe(false);
    const bytes = Uint8Array.from(HEARTBEAT_RESPONSE, (character) =>
      character.charCodeAt(0),
    ).buffer;
    expect(parseHubFrame(bytes).ok).toBe(false);
  });

  test.each(["not a cursor", "", "é", "x".repeat(65), 7, null, ["a"], undefined])(
    "9.1 with %j in a cursor's place are none",
    (place) => {
      for (const frame of [
        { type: "open", cursor: place, recovered: null },
        { type: "messages", cursor: place, messages: ["a"] },
        { type: "ack", id: "1", cursor: place },
      ]) {
        expect(detailOf(JSON.stringify(frame))).toBe('Expected "cursor" to be a cursor');
      }
      const [before, after] = [
        { type: "gap", from: place, to: cursor },
        { type: "gap", from: cursor, to: place },
      ];
      expect(detailOf(JSON.stringify(before))).toBe('Expected "from" to be a cursor');
      expect(detailOf(JSON.stringify(after))).toBe('Expected "to" to be a cursor');
    },
  );

  test("9.1 with a cursor of 64 characters, of whatever form, are read", () => {
    const place = "~._-".repeat(16);
    expect(parseHubFrame(formatAck("1", place)).ok).toBe(true);
  });

  test.each([
    ["", "Expected JSON, found a fault in its syntax"],
    ['{"type":"end"', /^Expected JSON, found a fault at position 13$/],
    [new ArrayBuffer(3), "Expected a text frame"],
    ["null", "Expected a JSON object"],
    ['["end"]', "Expected a JSON object"],
    ['"end"', "Expected a JSON object"],
    ["{}", 'Expected "type" to be a text'],
    ['{"type":7}', 'Expected "type" to be a text'],
    ['{"type":null}', 'Expected "type" to be a text'],
    ['{"type":["end"]}', 'Expected "type" to be a text'],
    ['{"type":"open","cursor":"a"}', /"recovered"/],
    ['{"type":"open","cursor":"a","recovered":"true"}', /"recovered"/],
    ['{"type":"open","cursor":"a","recovered":0}', /"recovered"/],
    ['{"type":"messages","cursor":"a"}', /"messages" to be a list of 1 or more messages/],
    ['{"type":"messages","cursor":"a","messages":[]}', /"messages" to be a list of 1 or more/],
    ['{"type":"messages","cursor":"a","messages":"a"}', /"messages"/],
    ['{"type":"messages","cursor":"a","messages":["a",1]}', /"messages\[1\]"/],
    ['{"type":"messages","cursor":"a","messages":[{"base64":"AP-A"}]}', /"messages\[0\]"/],
    ['{"type":"ack","cursor":"a"}', /"id"/],
    ['{"type":"ack","id":null,"cursor":"a"}', /"id"/],
    ['{"type":"ack","id":"","cursor":"a"}', /"id"/],
    ['{"type":"ack","id":"a b","cursor":"a"}', /"id"/],
    [`{"type":"ack","id":"${"x".repeat(65)}","cursor":"a"}`, /"id"/],
  ])("10.12 refuses %j and says where", (frame, detail) => {
    const pattern = typeof detail === "string" ? new RegExp(`^${detail}$`) : detail;
    expect(parseHubFrame(frame)).toEqual({ ok: false, error: expect.stringMatching(pattern) });
  });

  const problem = {
    type: "urn:wspubsub:problem:of-a-later-hub",
    title: "A title",
    status: 503,
    detail: "",
  };

  test("10.8 a problem that only a later hub knows is read", () => {
    for (const value of [problem, { ...problem, retryAfter: 0 }]) {
      const frame = { type: "error", id: null, problem: value };
      expect(parseHubFrame(JSON.stringify(frame))).toEqual({ ok: true, value: frame });
    }
  });

  test.each([undefined, "", "a b", 7, "x".repeat(65)])("10.12 refuses an error of id %j", (id) => {
    expect(detailOf(JSON.stringify({ type: "error", id, problem }))).toMatch(/"id".*or null/);
  });

  test.each([
    ["no problem", undefined],
    ["null as problem", null],
    ["a list as problem", [problem]],
    ["a text as problem", "topic-overloaded"],
    ["no type", { ...problem, type: undefined }],
    ["another type", { ...problem, type: "about:blank" }],
    ["a number as type", { ...problem, type: 7 }],
    ["no slug", { ...problem, type: "urn:wspubsub:problem:" }],
    ["no title", { ...problem, title: undefined }],
    ["a number as title", { ...problem, title: 7 }],
    ["no status", { ...problem, status: undefined }],
    ["a text as status", { ...problem, status: "503" }],
    ["a broken status", { ...problem, status: 503.5 }],
    ["no detail", { ...problem, detail: undefined }],
    ["a number as detail", { ...problem, detail: 7 }],
    ["a text as retryAfter", { ...problem, retryAfter: "1" }],
    ["null as retryAfter", { ...problem, retryAfter: null }],
    ["a broken retryAfter", { ...problem, retryAfter: 0.5 }],
  ])("10.12 refuses an error with %s", (_, value) => {
    const frame = JSON.stringify({ type: "error", id: "1", problem: value });
    expect(detailOf(frame)).toBe('Expected "problem" to have type, title, status and detail');
  });

  test("10.1 none makes the reader throw, and no fault is told with a frame's content", () => {
    const types = fc.constantFrom("open", "messages", "gap", "ack", "error");
    const hostile = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc
        .record(
          {
            type: types,
            id: fc.jsonValue(),
            cursor: fc.oneof(cursors, fc.jsonValue()),
            messages: fc.jsonValue(),
            recovered: fc.jsonValue(),
            problem: fc.jsonValue(),
          },
          { requiredKeys: ["type"] },
        )
        .map((frame) => JSON.stringify(frame)),
    );
    fc.assert(
      fc.property(hostile, (frame) => {
        expect(detailOf(frame) ?? "Expected nothing").toMatch(/^Expected [\x20-\x7e…]+$/u);
      }),
      { numRuns: 500 },
    );
  });
});
