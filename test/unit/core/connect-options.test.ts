/** PROTOCOL.md, section 3: the query parameters of a socket's URL. */
import { describe, expect, test } from "vitest";
import {
  parsePublisherOptions,
  parseSubscriberOptions,
} from "../../../src/core/connect-options.ts";

describe("parsePublisherOptions", () => {
  test.each([
    ["", { takeover: false, heartbeatSeconds: null }],
    ["takeover=0", { takeover: false, heartbeatSeconds: null }],
    ["takeover=1", { takeover: true, heartbeatSeconds: null }],
    ["takeover=1&heartbeat=5", { takeover: true, heartbeatSeconds: 5 }],
    ["heartbeat=300", { takeover: false, heartbeatSeconds: 300 }],
    ["tomorrow=yes&since=never", { takeover: false, heartbeatSeconds: null }],
  ])("3.1 reads %j", (query, value) => {
    expect(parsePublisherOptions(new URLSearchParams(query))).toEqual({ ok: true, value });
  });

  test.each([
    ["takeover=", '"takeover" must be 0 or 1'],
    ["takeover=true", '"takeover" must be 0 or 1'],
    ["wait=5", '"wait" is for subscribers: a publisher starts the topic'],
    ["heartbeat=", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=0", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=301", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=1e1", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=-1", '"heartbeat" must be a whole number of seconds from 1 to 300'],
  ])("3.2 refuses %j", (query, error) => {
    expect(parsePublisherOptions(new URLSearchParams(query))).toEqual({ ok: false, error });
  });
});

describe("parseSubscriberOptions", () => {
  test.each([
    ["", { since: null, gap: "skip", waitSeconds: null }],
    ["since=earliest", { since: "earliest", gap: "skip", waitSeconds: null }],
    ["since=-5&gap=close", { since: "-5", gap: "close", waitSeconds: null }],
    ["wait=1", { since: null, gap: "skip", waitSeconds: 1 }],
    ["wait=60&since=-5", { since: "-5", gap: "skip", waitSeconds: 60 }],
    ["gap=skip&takeover=maybe", { since: null, gap: "skip", waitSeconds: null }],
  ])("3.1 reads %j", (query, value) => {
    expect(parseSubscriberOptions(new URLSearchParams(query))).toEqual({ ok: true, value });
  });

  test.each<[string, RegExp]>([
    ["since=", /^"since" must be a cursor, /],
    ["since=yesterday", /^"since" must be a cursor, /],
    ["gap=", /^"gap" must be /],
    ["since=30s&gap=maybe", /^"gap" must be /],
    ...["", "0", "61", "600", "x", "1e1", "-1", "1.5", " 1", "01"].map((wait): [string, RegExp] => [
      `wait=${encodeURIComponent(wait)}`,
      /^"wait" must be a whole number of seconds from 1 to 60$/,
    ]),
  ])("3.2 refuses %j", (query, error) => {
    const parsed = parseSubscriberOptions(new URLSearchParams(query));
    expect(parsed).toEqual({ ok: false, error: expect.stringMatching(error) });
  });
});
