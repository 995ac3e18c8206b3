import { describe, expect, test } from "vitest";
import { parseDatabaseUrl } from "../../../src/core/database-url.ts";

describe("the protocol follows from the host", () => {
  test.each([
    ["ep-cool-1.eu-central-1.aws.neon.tech", "neon"],
    ["ep-cool-1-pooler.eu-central-1.aws.neon.tech:5432", "neon"],
    ["EP-COOL-1.US-EAST-2.AWS.NEON.TECH", "neon"],
    ["ep-cool-1.us-east-2.aws.neon.build", "neon"],
    ["ep-cool-1.us-east-2.aws.neon.tech.", "neon"],
    ["neon.tech", "postgres"],
    ["notneon.tech", "postgres"],
    ["db.example.neon.tech.example", "postgres"],
    ["ep-neon.tech-1.example", "postgres"],
    ["db.example", "postgres"],
    ["10.0.0.5", "postgres"],
    ["127.0.0.1:15432", "postgres"],
    ["localhost", "postgres"],
    ["[::1]:6000", "postgres"],
  ])("%s speaks %s", (host, speaks) => {
    expect(parse(`postgres://user:secret@${host}/db`)).toMatchObject({ speaks });
  });
});

describe("the hub's endpoint", () => {
  test.each([
    ["127.0.0.1:15432", "http://127.0.0.1:15432/sql"],
    ["localhost", "http://localhost:5432/sql"],
    ["LocalHost:7", "http://localhost:7/sql"],
    ["[::1]:6000", "http://[::1]:6000/sql"],
    ["ep-cool-1.eu-central-1.aws.neon.tech", null],
    ["db.example", null],
  ])("of %s is %s", (host, endpoint) => {
    expect(parse(`postgresql://user:secret@${host}/db`)).toMatchObject({ endpoint });
  });
});

test("the URL stays as it was written, the host is lower case and without port", () => {
  const url = "postgres://us%40er:se%24cret@DB.Example:6543/db?sslmode=require";
  expect(parse(url)).toMatchObject({ url, host: "db.example" });
});

test.each([
  ["secret", "is not a URL"],
  ["https://user:secret@host/db", "does not begin with postgres://"],
  ["postgres://:secret@host/db", "names no user"],
  ["postgres://user:secret@/db", "is not a URL"],
  ["postgres:///secret", "names no user"],
  ["postgres://user:secret@host", "names no database"],
  ["postgres://user:secret@host/", "names no database"],
])("%j is refused without being repeated", (text, message) => {
  const parsed = parseDatabaseUrl(text);
  expect(parsed).toEqual({ ok: false, error: expect.stringContaining(message) });
  expect(JSON.stringify(parsed)).not.toContain("secret");
});

function parse(url: string): unknown {
  const parsed = parseDatabaseUrl(url);
  return parsed.ok ? parsed.value : parsed.error;
}
