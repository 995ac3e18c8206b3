/** PROTOCOL.md, section 10: lists of messages, and both codecs against the document. */
import { Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import protocol from "../../../PROTOCOL.md?raw";
import {
  formatFinish,
  formatPublish,
  formatSubscriberAck,
  parsePublisherFrame,
  parseSubscriberAck,
} from "../../../src/core/client-frame.ts";
import { END_REASONS } from "../../../src/core/end-reason.ts";
import {
  formatAck,
  formatEnd,
  formatError,
  formatGap,
  formatMessages,
  formatOpen,
  parseHubFrame,
} from "../../../src/core/hub-frame.ts";
import { formatMessageList, joinMessageLists, parseMessageList } from "../../../src/core/stream.ts";
import { cursor, cursors, ids, messages } from "../support/frames.ts";

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
    expect(() => parseMessageList("[]")).toThrow("1 or more");
    expect(() => parseMessageList("null")).toThrow();
  });

  test("have no bound: one may hold several publishes", () => {
    const many = Array.from({ length: 5000 }, (_, n) => String(n));
    expect(parseMessageList(formatMessageList(many))).toEqual(many);
  });
});

describe("the grammar in PROTOCOL.md", () => {
  const examples = blocks("jsonl examples").flatMap((block) => block.trim().split("\n"));

  test("10.13 there is an example of every frame", () => {
    const types = new Set(examples.map((example) => JSON.parse(example).type));
    expect(types).toEqual(
      new Set(["ack", "end", "error", "finish", "gap", "messages", "open", "publish"]),
    );
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
        formatMessages(
          cursor,
          [{ count: 2, atMs: Date.UTC(2026, 10, 27, 9, 30, 0, 125) }],
          formatMessageList(["text", bytes]),
        ),
        formatMessages(
          "k3x9q0v7h2ma-46",
          [
            { count: 1, atMs: Date.UTC(2026, 10, 27, 9, 30, 1) },
            { count: 2, atMs: Date.UTC(2026, 10, 27, 9, 30, 7, 500) },
          ],
          formatMessageList(["a", "b", "c"]),
        ),
        formatEnd("finished"),
        formatSubscriberAck(cursor),
        formatPublish({ id: "5f1c-1", messages: ["text", bytes] }),
        formatFinish({ id: "5f1c-3", after: "5f1c-2", messages: [] }),
        formatAck("5f1c-1", cursor),
        formatError("5f1c-2", {
          slug: "topic-overloaded",
          detail: "Send it again in a second",
          retryAfter: 1,
        }),
        formatError(null, {
          slug: "invalid-frame",
          detail: 'Expected "type" to be "publish" or "finish"',
        }),
      ]),
    );
  });

  test.each(examples)("10.13 its reader reads the example %s", (example) => {
    const { type, id } = JSON.parse(example);
    const isSubscribers = type === "ack" && id === undefined;
    const read = isSubscribers
      ? parseSubscriberAck
      : type === "publish" || type === "finish"
        ? parsePublisherFrame
        : parseHubFrame;
    expect(read(example).ok).toBe(true);
  });

  test("10.12 allows whatever the codec writes", () => {
    fc.assert(
      fc.property(messages, ids, cursors, (value, id, place) => {
        for (const frame of [
          formatOpen(place, true),
          formatMessages(place, [{ count: value.length, atMs: 0 }], formatMessageList(value)),
          formatGap(place, place),
          ...END_REASONS.map((reason) => formatEnd(reason)),
          formatPublish({ id, messages: value }),
          formatFinish({ id, messages: value }),
          formatFinish({ id, after: id, messages: [] }),
          formatSubscriberAck(place),
          formatAck(id, place),
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
    '{"type":"messages","cursor":"k3x9q0v7h2ma-41","messages":["a"]}',
    '{"type":"messages","cursor":"k3x9q0v7h2ma-41","at":"2026-11-27T09:30:00Z","messages":["a"]}',
    '{"type":"messages","cursor":"k3x9q0v7h2ma-41","at":[],"messages":["a"]}',
    '{"type":"messages","cursor":"k3x9q0v7h2ma-41","at":"2026-11-27T09:30:00.000Z","messages":[]}',
    '{"type":"messages","cursor":"not a cursor","at":"2026-11-27T09:30:00.000Z","messages":["a"]}',
    '{"type":"publish","id":"","messages":["a"]}',
    '{"type":"publish","id":"1","messages":[1]}',
    '{"type":"publish","id":"1","messages":[{"base64":1}]}',
    '{"type":"end","reason":1}',
    '{"type":"finish"}',
    '{"type":"finish","id":"1","messages":[]}',
    '{"type":"other"}',
    '"end"',
  ])("10.12 refuses %s", (frame) => {
    expect(grammar.validate(JSON.parse(frame)).valid).toBe(false);
  });
});
