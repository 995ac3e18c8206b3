/** A policy is read by its rules, and docs/policy.md says what they are. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import document from "../../../docs/policy.md?raw";
import {
  columnOf,
  DEFAULT_POLICY,
  POLICY_FIELDS,
  POLICY_RULES,
  PolicySchema,
  type PolicyRule,
} from "../../../src/core/policy.ts";
import { ADDED_SINCE_0_1, valuesOf } from "../../support/policy-values.ts";

/** Columns of a domain that are no part of its policy. */
const TOKEN_COLUMNS = ["token_secret", "token_keys", "token_issuer"];

describe("PolicySchema", () => {
  test.each(POLICY_FIELDS)("takes of %s what its rule does, and no more", (field) => {
    const { taken, refused } = valuesOf(POLICY_RULES[field]);
    for (const value of [...taken, POLICY_RULES[field].byDefault]) {
      const policy = { ...DEFAULT_POLICY, [field]: value };
      expect(v.parse(PolicySchema, policy)).toEqual(policy);
    }
    for (const value of [...refused, "1", 1.5]) {
      const policy = { ...DEFAULT_POLICY, [field]: value };
      expect([value, v.is(PolicySchema, policy)]).toEqual([value, false]);
    }
  });

  test("gives what a version before stored the defaults of what it did not know", () => {
    for (const field of POLICY_FIELDS) {
      const { [field]: _, ...rest } = DEFAULT_POLICY;
      const read = ADDED_SINCE_0_1.includes(field)
        ? { success: true, output: DEFAULT_POLICY }
        : { success: false };
      expect({ field, ...v.safeParse(PolicySchema, rest) }).toMatchObject({ field, ...read });
    }
  });
});

describe("the table in docs/policy.md", () => {
  const rows = readTable(document);

  test("has all fields, and no column besides but those of tokens", () => {
    const columns = [...rows.keys()].filter((column) => !TOKEN_COLUMNS.includes(column));
    expect(columns.toSorted()).toEqual(POLICY_FIELDS.map(columnOf).toSorted());
  });

  test.each(POLICY_FIELDS)("has the default of %s, and what it may be", (field) => {
    const rule = POLICY_RULES[field];
    const row = rows.get(columnOf(field));
    expect(row?.byDefault.replaceAll("`", "")).toBe(String(rule.byDefault ?? "none"));
    for (const bound of boundsOf(rule)) expect(row?.meaning).toMatch(bound);
  });
});

function boundsOf(rule: PolicyRule): readonly RegExp[] {
  switch (rule.kind) {
    case "choice":
      return rule.words
        .filter((word) => word !== rule.byDefault)
        .map((word) => new RegExp(`\`${word}\``));
    case "number": {
      const { least, most } = rule;
      return [new RegExp(least > 1 ? `\\b${least} to ${most}\\b` : `\\bat most ${most}\\b`)];
    }
    // Without a bound that anybody meets.
    case "limit":
    case "switch":
      return [];
  }
}

interface TableRow {
  readonly byDefault: string;
  readonly meaning: string;
}

/** By the name of the column; a line may have several. */
function readTable(text: string): ReadonlyMap<string, TableRow> {
  const [, table = ""] = /\| column \| default \|.*\n.*\n((?: *\|.*\n)+)/.exec(text) ?? [];
  const rows = table
    .trim()
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return new Map(
    rows.flatMap(([, names = "", byDefault = "", meaning = ""]) =>
      [...names.matchAll(/`(\w+)`/g)].map(
        ([, name = ""]) => [name, { byDefault, meaning }] as const,
      ),
    ),
  );
}
