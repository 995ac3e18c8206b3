/** PROTOCOL.md, section 7: when a publisher counts as silent. */
import { describe, expect, test } from "vitest";
import { isSilent } from "../../../src/core/heartbeat.ts";

const never = {
  heartbeatSeconds: null,
  connectedAtMs: 0,
  lastHeartbeatMs: null,
  lastMessageMs: null,
};

describe("isSilent", () => {
  test("7.3 a publisher that never used heartbeats is not", () => {
    expect(isSilent(never, 1e12)).toBe(false);
  });

  test("7.4 one that sent a heartbeat is after three times 30 seconds without", () => {
    const signs = { ...never, lastHeartbeatMs: 1000 };
    expect(isSilent(signs, 91_000)).toBe(false);
    expect(isSilent(signs, 91_001)).toBe(true);
  });

  test("7.4 one that declared an interval is after three of them, counted from connecting", () => {
    const signs = { ...never, heartbeatSeconds: 1, connectedAtMs: 500 };
    expect(isSilent(signs, 3500)).toBe(false);
    expect(isSilent(signs, 3501)).toBe(true);
  });

  test("7.5 a message is a sign of life as well", () => {
    const signs = { ...never, heartbeatSeconds: 1, lastMessageMs: 9000 };
    expect(isSilent(signs, 12_000)).toBe(false);
    expect(isSilent(signs, 12_001)).toBe(true);
  });
});
