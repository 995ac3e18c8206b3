/** A batch that is read back holds what was written, or is none. */
import { describe, expect, test } from "vitest";
import { Batch } from "../../../src/delivery/batch.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

const PLACE = { epoch: "epoch", first: 5, last: 6, atMs: 0 };

describe("a list", () => {
  test("that holds its messages is a batch", () => {
    expect(Batch.ofList(PLACE, '["a","b"]')?.messages).toEqual(["a", "b"]);
  });

  test.each(['["a","b', "{}", '["a",7]', "[]"])("of %s is none", async (list) => {
    expect(await expectReached("list-unreadable", () => Batch.ofList(PLACE, list))).toBeNull();
  });

  test.each(['["a"]', '["a","b","c"]'])("of another length, %s, is none", async (list) => {
    expect(await expectReached("list-miscounted", () => Batch.ofList(PLACE, list))).toBeNull();
  });
});
