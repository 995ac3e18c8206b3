/** The tables of PROTOCOL.md that list slugs and close codes: as many as the hub has, and with the same numbers. */
import { describe, expect, test } from "vitest";
import protocol from "../../../PROTOCOL.md?raw";
import * as closeCodes from "../../../src/core/close-code.ts";
import { PROBLEMS } from "../../../src/core/problem.ts";

interface SlugRow {
  readonly slug: string;
  readonly status: number;
  /** `null`: the table has no codes, or this slug has none. */
  readonly closeCode: number | null;
}

/** The rows of all tables of slugs: a slug, a status, in one of them a code. */
function slugRows(): SlugRow[] {
  return [...protocol.matchAll(/^ *\| `([a-z-]+)` \| (\d{3}) \|(?: (\d{4}) \|)?/gm)].map(
    ([, slug = "", status, closeCode]) => ({
      slug,
      status: Number(status),
      closeCode: closeCode === undefined ? null : Number(closeCode),
    }),
  );
}

describe("slugs", () => {
  test("4.1 each that the hub has is in a table, or in a clause", () => {
    const missing = Object.keys(PROBLEMS).filter((slug) => !protocol.includes(`\`${slug}\``));
    expect(missing).toEqual([]);
  });

  test("4.1 4.6 10.11 17.13 each that a table has is the hub's, with its status and code", () => {
    const rows = slugRows();
    expect(rows.length).toBeGreaterThan(30);
    const problems = new Map(Object.entries(PROBLEMS));
    const own = rows.map(({ slug, closeCode }) => ({
      slug,
      status: problems.get(slug)?.status,
      closeCode: closeCode === null ? null : problems.get(slug)?.closeCode,
    }));
    expect(rows).toEqual(own);
  });
});

test("8.1 the table of close codes has those that the hub closes with, and no other", () => {
  const own = Object.values(closeCodes).flatMap((value) =>
    typeof value === "object" && "code" in value ? [`${value.code} ${value.reason}`] : [],
  );
  const rows = [...protocol.matchAll(/^ *\| (\d{4}) \| `([a-z-]+)` \|/gm)];
  const listed = rows.map(([, code, reason]) => `${code} ${reason}`);
  expect(listed.toSorted()).toEqual(own.toSorted());
});
