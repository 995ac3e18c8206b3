/** PROTOCOL.md, section 3: the query parameters of a publisher's URL. */
import { describe, expect, test } from "vitest";
import { parseConnectOptions } from "../../../src/core/connect-options.ts";

describe("parseConnectOptions", () => {
  test.each([
    ["", { takeover: false, heartbeatSeconds: null }],
    ["takeover=0", { takeover: false, heartbeatSeconds: null }],
    ["takeover=1", { takeover: true, heartbeatSeconds: null }],
    ["takeover=1&heartbeat=5", { takeover: true, heartbeatSeconds: 5 }],
    ["heartbeat=300", { takeover: false, heartbeatSeconds: 300 }],
    ["tomorrow=yes", { takeover: false, heartbeatSeconds: null }],
  ])("3.1 reads %j", (query, value) => {
    expect(parseConnectOptions(new URLSearchParams(query))).toEqual({ ok: true, value });
  });

  test.each([
    ["takeover=", '"takeover" must be 0 or 1'],
    ["takeover=true", '"takeover" must be 0 or 1'],
    ["heartbeat=", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=0", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=301", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=1e1", '"heartbeat" must be a whole number of seconds from 1 to 300'],
    ["heartbeat=-1", '"heartbeat" must be a whole number of seconds from 1 to 300'],
  ])("3.2 refuses %j", (query, error) => {
    expect(parseConnectOptions(new URLSearchParams(query))).toEqual({ ok: false, error });
  });
});
