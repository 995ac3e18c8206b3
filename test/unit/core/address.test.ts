/** PROTOCOL.md, section 2: the grammar of an address and the names of objects. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  MAX_DOMAIN_LENGTH,
  MAX_TOPIC_LENGTH,
  objectName,
  parseAddress,
} from "../../../src/core/address.ts";

/** Any decoded part that the grammar allows. */
function part(maxLength: number): fc.Arbitrary<string> {
  return fc
    .array(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), { minLength: 1, maxLength })
    .map((points) => points.join(""))
    .filter((text) => !/\p{Cc}/u.test(text) && text !== "." && text !== "..");
}

const address = fc.record({ domain: part(MAX_DOMAIN_LENGTH), topic: part(MAX_TOPIC_LENGTH) });

describe("parseAddress", () => {
  test("2.1 takes any encoded UTF-8 but control characters, and decodes it once", () => {
    fc.assert(
      fc.property(address, ({ domain, topic }) => {
        const parsed = parseAddress(encodeURIComponent(domain), encodeURIComponent(topic));
        expect(parsed).toEqual({ ok: true, value: { domain, topic } });
      }),
    );
  });

  test("2.2 decodes once: an encoded percent sign stays one", () => {
    expect(parseAddress("a%2525", "b%252Fc")).toEqual({
      ok: true,
      value: { domain: "a%25", topic: "b%2Fc" },
    });
  });

  test("2.3 an encoded slash belongs to the part it stands in", () => {
    expect(parseAddress("d", "a%2Fb%2f")).toEqual({
      ok: true,
      value: { domain: "d", topic: "a/b/" },
    });
  });

  test("never throws, whatever the segments", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (domain, topic) => {
        expect(typeof parseAddress(domain, topic).ok).toBe("boolean");
      }),
    );
  });

  test.each([
    ["", "t", "The domain is empty"],
    ["d", "", "The topic is empty"],
    ["%", "t", "The domain is not valid percent-encoded UTF-8"],
    ["d", "%zz", "The topic is not valid percent-encoded UTF-8"],
    ["d", "%C3%28", "The topic is not valid percent-encoded UTF-8"],
    ["d", "%ED%A0%80", "The topic is not valid percent-encoded UTF-8"],
    ["d", "a%00b", "The topic contains a control character"],
    ["%7F", "t", "The domain contains a control character"],
    ["d", "%C2%85", "The topic contains a control character"],
    ["d", "\ud800", "The topic contains a lone surrogate"],
    [".", "t", 'The domain must not be "." or ".."'],
    ["d", "%2e%2E", 'The topic must not be "." or ".."'],
    ["d".repeat(65), "t", "The domain has 65 characters, at most 64 are allowed"],
    ["d", "t".repeat(257), "The topic has 257 characters, at most 256 are allowed"],
  ])("2.4 refuses %j, %j and names the part", (domain, topic, error) => {
    expect(parseAddress(domain, topic)).toEqual({ ok: false, error });
  });

  test("2.5 counts characters as code points", () => {
    expect(parseAddress("😀".repeat(MAX_DOMAIN_LENGTH), "😀".repeat(MAX_TOPIC_LENGTH)).ok).toBe(
      true,
    );
  });
});

describe("objectName", () => {
  test("2.6 two addresses never share a name", () => {
    fc.assert(
      fc.property(address, address, (a, b) => {
        const same = a.domain === b.domain && a.topic === b.topic;
        expect(objectName(a) === objectName(b)).toBe(same);
      }),
    );
    // The near misses that chance would not find.
    const slashes = [
      { domain: "a", topic: "b/c" },
      { domain: "a/b", topic: "c" },
      { domain: "a%2Fb", topic: "c" },
      { domain: "a", topic: "b%2Fc" },
    ];
    expect(new Set(slashes.map(objectName)).size).toBe(slashes.length);
  });
});
