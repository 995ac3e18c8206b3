/**
 * A key as the store describes it, for scripts and for people. Never the key itself: the store does not
 * have it.
 */
import * as v from "valibot";
import { InstantSchema } from "../instant.ts";
import { formatDate } from "../output/format-date.ts";
import { printable } from "../output/printable.ts";

/** Validates a row of a key. */
export const KeyRowSchema: v.GenericSchema<unknown, KeyRow> = v.object({
  id: v.pipe(v.string(), v.regex(/^-?\d{1,15}$/), v.transform(Number)),
  domain: v.string(),
  hint: v.string(),
  username: v.nullable(v.string()),
  createdAt: InstantSchema,
  expiresAt: InstantSchema,
  revokedAt: InstantSchema,
  lastUsedAt: InstantSchema,
  state: v.picklist(["live", "inactive", "expired", "revoked"]),
});

/** A key. */
export interface KeyRow {
  readonly id: number;
  /** Empty where its row, made by hand, has none. */
  readonly domain: string;
  /** Its first characters; empty where its row, made by hand, has no key. */
  readonly hint: string;
  readonly username: string | null;
  readonly createdAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** To about a day; `null`: never, or it is not known. */
  readonly lastUsedAt: Date | null;
  /** `live` alone opens anything. */
  readonly state: "live" | "inactive" | "expired" | "revoked";
}

/** A key as JSON has it. */
export interface KeyJson {
  readonly id: number;
  readonly domain: string;
  readonly hint: string;
  readonly username: string | null;
  readonly created_at: string | null;
  readonly state: KeyRow["state"];
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly last_used_at: string | null;
}

/** For scripts. */
export function keyJson(key: KeyRow): KeyJson {
  return {
    id: key.id,
    domain: key.domain,
    hint: key.hint,
    username: key.username,
    created_at: key.createdAt?.toISOString() ?? null,
    state: key.state,
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}

/** For people, within a sentence: `key 3 (9Xa1…) of "example"`. */
export function nameKey(key: KeyRow): string {
  const hint = key.hint === "" ? "" : ` (${printable(key.hint)})`;
  return `key ${key.id}${hint} of "${printable(key.domain)}"`;
}

/** For people: a clause about a new key that nobody has seen. */
export function unseenKey({ id }: KeyRow): string {
  return `key ${id} was made and could not be shown: revoke it with keys revoke ${id}`;
}

/** For people, within a sentence. */
export function describeKeyState(key: KeyRow): string {
  switch (key.state) {
    case "live":
      return key.expiresAt === null ? "live" : `live until ${formatDate(key.expiresAt)}`;
    case "inactive":
      return "inactive";
    case "expired":
      return key.expiresAt === null ? "expired" : `expired since ${formatDate(key.expiresAt)}`;
    case "revoked":
      return key.revokedAt === null ? "revoked" : `revoked since ${formatDate(key.revokedAt)}`;
  }
}
