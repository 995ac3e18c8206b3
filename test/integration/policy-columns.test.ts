/** The columns of `domains` in schema.sql, which is written by hand, are held to the rules of the policy in core. */
import { PGlite } from "@electric-sql/pglite";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { columnOf, POLICY_FIELDS, POLICY_RULES } from "../../src/core/policy.ts";
import { valuesOf } from "../support/policy-values.ts";

const SCHEMA = readFileSync(`${import.meta.dirname}/../../schema.sql`, "utf8");
/** Columns of a domain that are no part of its policy. */
const OTHER_COLUMNS = [
  "domain",
  "token_issuer",
  "token_keys",
  "token_secret",
  "token_secret_expires_at",
  "token_secret_previous",
  "token_secret_previous_expires_at",
];
/** not_null_violation; check_violation, or numeric_value_out_of_range where the type is the bound. */
const NULL_REFUSED = /^23502$/;
const VALUE_REFUSED = /^(23514|22003)$/;

let database: PGlite;

beforeAll(async () => {
  database = await PGlite.create("memory://");
  await database.exec(SCHEMA);
});

afterAll(() => database.close());

describe("the table domains", () => {
  test("has a column for each field of a policy, and none that the hub does not know", async () => {
    const columns = await select(`select column_name as value from information_schema.columns
      where table_schema = 'public' and table_name = 'domains'`);
    const known = [...POLICY_FIELDS.map(columnOf), ...OTHER_COLUMNS];
    expect(new Set(columns)).toEqual(new Set(known));
  });

  test.each(POLICY_FIELDS)(
    "has the default of %s, takes what its rule does, and no more",
    async (field) => {
      const rule = POLICY_RULES[field];
      const column = columnOf(field);
      await database.query("insert into domains (domain) values ($1)", [field]);
      const stored = `select ${column} as value from domains where domain = $1`;
      const store = `update domains set ${column} = $2 where domain = $1`;
      expect(await select(stored, field)).toEqual([rule.byDefault]);
      const { taken, refused } = valuesOf(rule);
      for (const value of taken) {
        await database.query(store, [field, value]);
        expect(await select(stored, field)).toEqual([value]);
      }
      for (const value of refused) {
        const code = expect.stringMatching(value === null ? NULL_REFUSED : VALUE_REFUSED);
        await expect(database.query(store, [field, value])).rejects.toMatchObject({
          code,
        });
      }
    },
  );

  test("names in its checks no words but those of the rules", async () => {
    const checks = await select(`select pg_get_constraintdef(oid) as value from pg_constraint
      where conrelid = 'domains'::regclass and contype = 'c'`);
    for (const field of POLICY_FIELDS) {
      const rule = POLICY_RULES[field];
      if (rule.kind !== "choice") continue;
      const texts = checks.map(String).filter((check) => check.includes(`(${columnOf(field)} `));
      const words = texts.flatMap((check) =>
        [...check.matchAll(/'(\w+)'/g)].map(([, word]) => word),
      );
      expect(words).toEqual(rule.words);
    }
  });
});

async function select(query: string, ...params: unknown[]): Promise<unknown[]> {
  const { rows } = await database.query<{ value: unknown }>(query, params);
  return rows.map(({ value }) => value);
}
