/** PROTOCOL.md, 14.16: what a client's waiting places are counted by. */
import { expect, test } from "vitest";
import type { Address } from "../../../src/core/address.ts";
import { clientNumberOf } from "../../../src/edge/client-number.ts";

const ADDRESS: Address = { domain: "domain", topic: "topic" };

test("14.16 a client has one number on a topic, another one elsewhere, and shares it with few", async () => {
  const number = await clientNumberOf("192.0.2.1", ADDRESS);
  expect(await clientNumberOf("192.0.2.1", ADDRESS)).toBe(number);
  expect(await clientNumberOf("192.0.2.1", { ...ADDRESS, topic: "other" })).not.toBe(number);
  const names = Array.from({ length: 500 }, (_, n) => `client ${n}`);
  const numbers = await Promise.all(names.map((name) => clientNumberOf(name, ADDRESS)));
  expect(new Set(numbers).size).toBeGreaterThan(480);
  expect(Math.max(...numbers)).toBeLessThan(65_536);
});
