/** What is remembered of keys in plain: those that have opened something, and no more than a bounded number. */
import { expect, test } from "vitest";
import { hashKey, recallHash, rememberHash } from "../../../src/edge/key-hash.ts";
import { Posting } from "./support/posting.ts";

test("the hash of a key that opens something is remembered, of one that does not it is not", async () => {
  const posting = new Posting();
  const good = crypto.randomUUID();
  const bad = crypto.randomUUID();
  posting.postgres.addKey({ keyId: 8, text: good, domain: posting.domain });

  const posted = await posting.post({ headers: { Authorization: `Bearer ${good}` } });
  const refused = await posting.post({ headers: { Authorization: `Bearer ${bad}` } });

  expect([posted.status, refused.status]).toEqual([200, 401]);
  expect(recallHash(good)).toBe(await hashKey(good));
  expect(recallHash(bad)).toBeNull();
});

test("no more than a thousand are remembered", () => {
  const keys = Array.from({ length: 2000 }, () => crypto.randomUUID());
  for (const key of keys) rememberHash(key, `hash of ${key}`);
  const remembered = keys.filter((key) => recallHash(key) !== null);
  expect(remembered.length).toBeLessThanOrEqual(1000);
  expect(recallHash(keys.at(-1) ?? "")).toBe(`hash of ${keys.at(-1)}`);
});

test("a key that was good and is revoked opens nothing, though its hash is remembered", async () => {
  const posting = new Posting();
  const key = crypto.randomUUID();
  rememberHash(key, await hashKey(key));
  const refused = await posting.post({ headers: { Authorization: `Bearer ${key}` } });
  expect(refused).toMatchObject({ status: 401, word: "key-rejected" });
});
