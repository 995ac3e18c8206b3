/**
 * What the rows of the key store's queries mean. Each reader throws a `ValiError` on a row that schema.sql does
 * not allow: somebody has changed the tables. Invariant: no number that leaves here is not finite.
 */
import * as v from "valibot";
import { DEFAULT_POLICY, PolicySchema } from "../core/policy.ts";
import { NO_TOKENS, TokenSettingsSchema } from "../core/token-settings.ts";
import type { DomainLookup, KeyCheck, KeyRecord, KeysLookup, Revoked } from "./key-store.ts";

type Row = Record<string, unknown>;
type Granted = Extract<KeyCheck, { type: "granted" }>;
type FoundDomain = Extract<DomainLookup, { type: "found" }>;
type FoundKeys = Extract<KeysLookup, { type: "found" }>;
type RevokedKey = Extract<Revoked, { type: "done" }>;

/** Postgres counts microseconds. */
const DateSchema = v.pipe(
  v.number(),
  v.finite(),
  v.transform((ms) => Math.round(ms)),
);

const ClockSchema = v.object({ atMs: DateSchema });
const HasRowSchema = v.object({ hasRow: v.boolean() });
const DomainKeySchema = v.object({ hasKey: v.boolean() });
const KeySchema = v.object({ keyId: v.number(), expiresAtMs: v.nullable(DateSchema) });
const HasKeySchema = v.object({ keyId: v.nullable(v.number()) });

const KeyRecordSchema: v.GenericSchema<unknown, KeyRecord> = v.object({
  ...KeySchema.entries,
  state: v.picklist(["revoked", "expired", "inactive", "live"]),
});

/** A key that opens, and its domain's policy. */
export function readGrant(row: Row): Granted {
  return {
    type: "granted",
    ...v.parse(KeySchema, row),
    ...v.parse(ClockSchema, row),
    policy: v.parse(PolicySchema, policyColumns(row)),
  };
}

/** A domain, or none: then its columns are null. */
export function readDomain([row]: Row[]): FoundDomain {
  const { hasRow } = v.parse(HasRowSchema, row);
  const { hasKey } = v.parse(DomainKeySchema, row);
  return {
    type: "found",
    policy: v.parse(PolicySchema, policyColumns(row)),
    tokens: hasRow ? v.parse(TokenSettingsSchema, row) : NO_TOKENS,
    isKnown: hasRow || hasKey,
    ...v.parse(ClockSchema, row),
  };
}

/** Keys, each in a row with their domain; one row without a key where there is none. */
export function readKeys(rows: Row[]): FoundKeys {
  const policy = v.safeParse(PolicySchema, policyColumns(rows[0]));
  return {
    type: "found",
    keys: readRecords(rows),
    policy: policy.success ? policy.output : null,
    ...v.parse(ClockSchema, rows[0]),
  };
}

/** The key that was revoked, or a row without one. */
export function readRevoked(rows: Row[]): RevokedKey {
  const { atMs } = v.parse(ClockSchema, rows[0]);
  return { type: "done", key: readRecords(rows)[0] ?? null, atMs };
}

/** Where a policy is to be read from; a domain without a row has the defaults. */
function policyColumns(row: Row | undefined): unknown {
  return v.parse(HasRowSchema, row).hasRow ? row : DEFAULT_POLICY;
}

function readRecords(rows: Row[]): KeyRecord[] {
  return rows
    .filter((row) => v.parse(HasKeySchema, row).keyId !== null)
    .map((row) => v.parse(KeyRecordSchema, row));
}
