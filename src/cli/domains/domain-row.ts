/**
 * A domain's row as the store has it. Invariant: what people wrote into it by hand never keeps it from being read.
 */
import * as v from "valibot";
import { instant, InstantSchema } from "../instant.ts";
import { POLICY_COLUMNS, type PolicyValue } from "./policy-column.ts";
import { readStoredKeys, type StoredTokenKeys } from "./token-keys.ts";

/** A domain's row. */
export interface DomainRow {
  /** By the names of the columns. */
  readonly policy: ReadonlyMap<string, PolicyValue>;
  /** Never shown: only that it is set, and until when. */
  readonly tokenSecret: StoredSecret | null;
  /** The one that `tokenSecret` has replaced. */
  readonly previousTokenSecret: StoredSecret | null;
  readonly tokenKeys: StoredTokenKeys | null;
}

/** A secret that signs tokens. */
export interface StoredSecret {
  readonly text: string;
  /** When it ends, `null`: never. */
  readonly expiresAt: Date | null;
}

/** What is read of a row. */
export const DOMAIN_COLUMNS: readonly string[] = [
  ...POLICY_COLUMNS.map(({ name }) => name),
  "token_secret",
  readable("token_secret_expires_at"),
  "token_secret_previous",
  readable("token_secret_previous_expires_at"),
  "token_keys",
];

/** Columns that are set with a new secret, so that it is the only one from then on, and has no end. */
export const NO_OTHER_SECRET: ReadonlyMap<string, null> = new Map([
  ["token_secret_expires_at", null],
  ["token_secret_previous", null],
  ["token_secret_previous_expires_at", null],
]);

const ValueSchema = v.nullable(v.union([v.string(), v.number(), v.boolean()]));

/** Validates a row of `domains`. */
export const DomainRowSchema: v.GenericSchema<unknown, DomainRow> = v.pipe(
  v.looseObject({
    token_secret: v.nullable(v.string()),
    token_secret_expires_at: InstantSchema,
    token_secret_previous: v.nullable(v.string()),
    token_secret_previous_expires_at: InstantSchema,
    token_keys: v.unknown(),
    ...Object.fromEntries(POLICY_COLUMNS.map(({ name }) => [name, ValueSchema])),
  }),
  v.transform((row) => ({
    policy: new Map(POLICY_COLUMNS.map(({ name }) => [name, v.parse(ValueSchema, row[name])])),
    tokenSecret: secretOf(row.token_secret, row.token_secret_expires_at),
    previousTokenSecret: secretOf(row.token_secret_previous, row.token_secret_previous_expires_at),
    tokenKeys: row.token_keys === null ? null : readStoredKeys(row.token_keys),
  })),
);

/** What a domain without a row has. */
export const DEFAULT_DOMAIN: DomainRow = {
  policy: new Map(POLICY_COLUMNS.map(({ name, byDefault }) => [name, byDefault])),
  tokenSecret: null,
  previousTokenSecret: null,
  tokenKeys: null,
};

/** Whether a secret signs tokens that the hub takes. */
export function isLiveSecret(secret: StoredSecret | null): secret is StoredSecret {
  return secret !== null && (secret.expiresAt === null || secret.expiresAt.getTime() > Date.now());
}

/** A date that RFC 3339 has: "infinity" is no end, what lies beyond its years is their end or has been for long. */
function readable(column: string): string {
  const bounded = `least(greatest(${column}, timestamptz 'epoch'), '9999-12-31Z')`;
  return `${instant(`case when ${column} < 'infinity' then ${bounded} end`)} as ${column}`;
}

function secretOf(text: string | null, expiresAt: Date | null): StoredSecret | null {
  return text === null ? null : { text, expiresAt };
}
