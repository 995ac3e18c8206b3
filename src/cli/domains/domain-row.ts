/**
 * A domain's row as the store has it.
 */
import * as v from "valibot";
import { POLICY_COLUMNS, type PolicyValue } from "./policy-column.ts";
import { TokenKeysSchema, type TokenKeys } from "./token-keys.ts";

/** A domain's row. */
export interface DomainRow {
  /** By the names of the columns. */
  readonly policy: ReadonlyMap<string, PolicyValue>;
  /** Never shown: only that it is set. */
  readonly tokenSecret: string | null;
  readonly tokenKeys: TokenKeys | null;
}

/** What is read of a row. */
export const DOMAIN_COLUMNS: readonly string[] = [
  ...POLICY_COLUMNS.map(({ name }) => name),
  "token_secret",
  "token_keys",
];

const ValueSchema = v.nullable(v.union([v.string(), v.number(), v.boolean()]));

/** Validates a row of `domains`. */
export const DomainRowSchema: v.GenericSchema<unknown, DomainRow> = v.pipe(
  v.looseObject({ token_secret: v.nullable(v.string()), token_keys: v.nullable(TokenKeysSchema) }),
  v.transform((row) => ({
    policy: new Map(POLICY_COLUMNS.map(({ name }) => [name, v.parse(ValueSchema, row[name])])),
    tokenSecret: row.token_secret,
    tokenKeys: row.token_keys,
  })),
);

/** What a domain without a row has. */
export const DEFAULT_DOMAIN: DomainRow = {
  policy: new Map(POLICY_COLUMNS.map(({ name, fallback }) => [name, fallback])),
  tokenSecret: null,
  tokenKeys: null,
};
