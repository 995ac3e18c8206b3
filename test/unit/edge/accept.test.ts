/** PROTOCOL.md, 18.4: what a client takes. */
import { expect, test } from "vitest";
import { acceptsJson } from "../../../src/edge/accept.ts";

test.each([
  [null, true],
  ["", true],
  ["*/*", true],
  ["application/json", true],
  ["Application/JSON; charset=utf-8", true],
  ["text/html, application/*;q=0.1", true],
  ["text/html, */*;q=0.8", true],
  ["text/html", false],
  ["text/event-stream", false],
  ["application/json;q=0, */*", false],
  ["application/*;q=0, */*", false],
  ["*/*;q=0", false],
  ["application/jsonl", false],
  [",;,", false],
])("Accept: %s", (accept, isTaken) => {
  expect(acceptsJson(accept)).toBe(isTaken);
});
