/** PROTOCOL.md, 14.1 and 14.9: whom a request is counted for. */
import { describe, expect, test } from "vitest";
import { clientNameOf } from "../../../src/edge/client-name.ts";

const ALL_WORKERS = "2a06:98c0:3600::103";

function nameOf(address: string, worker?: string): string {
  const headers = new Headers({ "CF-Connecting-IP": address });
  if (worker !== undefined) headers.set("CF-Worker", worker);
  return clientNameOf(headers);
}

describe("clientNameOf", () => {
  test.each([
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["192.0.2.1", "::FFFF:c000:201"],
    ["192.0.2.1", "0:0:0:0:0:ffff:192.0.2.1"],
    ["192.0.2.1", "64:ff9b::192.0.2.1"],
    ["2001:db8::1", "2001:DB8:0:0:0:0:0:1"],
    ["2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"],
    ["2001:db8::1", "2001:db8::0.0.0.1"],
    ["2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"],
    ["::1", "0::1"],
    ["2001:db8:1::", "2001:db8:1:0:8000::"],
  ])("14.1 %s and %s are one client", (one, other) => {
    expect(nameOf(other)).toBe(nameOf(one));
  });

  test.each([
    ["192.0.2.1", "192.0.2.2"],
    ["192.0.2.1", "192.0.3.1"],
    ["192.0.2.1", "193.0.2.1"],
    ["::ffff:192.0.2.1", "::ffff:198.51.100.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::198.51.100.1"],
    ["2001:db8:0:1::1", "2001:db8:0:2::1"],
    ["2001:db8:0:1::1", "2001:db8:0:8001::1"],
    ["2001:db8::1", "2001:db9::1"],
    // Not mapped.
    ["::192.0.2.1", "192.0.2.1"],
    ["::fffe:192.0.2.1", "192.0.2.1"],
  ])("14.1 %s and %s are two", (one, other) => {
    expect(nameOf(other)).not.toBe(nameOf(one));
  });

  test("14.9 behind the address that all Workers share the zone is the client", () => {
    expect(nameOf(ALL_WORKERS, "a.example")).not.toBe(nameOf(ALL_WORKERS, "b.example"));
    expect(nameOf(ALL_WORKERS, "A.example")).toBe(nameOf(ALL_WORKERS, "a.example"));
    expect(nameOf("2A06:98c0:3600:0::103", "a.example")).toBe(nameOf(ALL_WORKERS, "a.example"));
    expect(nameOf(ALL_WORKERS)).not.toBe(nameOf(ALL_WORKERS, "a.example"));
  });

  test.each(["192.0.2.1", "2001:db8::1", "2a06:98c0:3600::104", "2a06:98c0:3600:1::103", "no-ip"])(
    "14.9 from %s anybody could say so",
    (address) => {
      expect(nameOf(address, "a.example")).toBe(nameOf(address));
    },
  );

  test("a zone that calls itself like an address is not that address", () => {
    expect(nameOf(ALL_WORKERS, "192.0.2.1")).not.toBe(nameOf("192.0.2.1"));
  });

  test.each(["", "fe80::1%eth0", "1.2.3", "1:2", "[::1]", "a@b", "::1]/x[", "x".repeat(9999)])(
    "what is no address is a name of its own: %s",
    (address) => {
      const name = nameOf(address);
      expect(name.length).toBeLessThanOrEqual(253);
      expect(name).not.toBe(nameOf("192.0.2.1"));
      expect(name).toBe(nameOf(address));
    },
  );

  test("without the header there is one client", () => {
    expect(clientNameOf(new Headers())).toBe("unknown");
  });
});
