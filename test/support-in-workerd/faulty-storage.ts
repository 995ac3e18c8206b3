/**
 * An object's storage that fails when the table says so, before anything is written or read. Only the object
 * sees it: what a test does by `runInDurableObject` reaches the real storage.
 */
import { table, type Happening } from "./fault-table.ts";

/** How an access fails. */
export interface StorageEffect {
  readonly error: Error;
  /** Whether the object dies of it, as when an output gate breaks. */
  readonly isFatal: boolean;
}

const KINDS: Readonly<Record<string, "read" | "write">> = {
  "kv.get": "read",
  "kv.list": "read",
  "kv.put": "write",
  "kv.delete": "write",
  get: "read",
  list: "read",
  put: "write",
  delete: "write",
  getAlarm: "read",
  setAlarm: "write",
  deleteAlarm: "write",
  deleteAll: "write",
  sync: "write",
};

const READING_SQL = /^\s*(select|with|values|explain|pragma)\b/i;

/** Wraps the storage of an object. */
export function faultyStorage(ctx: DurableObjectState): DurableObjectStorage {
  const { storage } = ctx;
  const parts: Readonly<Record<string, object>> = {
    kv: intercept(storage.kv, "kv.", ctx),
    sql: intercept(storage.sql, "sql.", ctx),
  };
  return intercept(storage, "", ctx, parts);
}

function intercept<T extends object>(
  target: T,
  prefix: string,
  ctx: DurableObjectState,
  parts: Readonly<Record<string, object>> = {},
): T {
  const object = ctx.id.toString();
  // Of an heir: where a test has replaced a method for good, a proxy of the target could return no other.
  return new Proxy<T>(Object.create(target), {
    get(_, key) {
      if (typeof key === "string" && Object.hasOwn(parts, key)) return parts[key];
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function" || typeof key !== "string" || /^[A-Z]/.test(key))
        return value;
      return (...args: unknown[]): unknown => {
        const detail = typeof args[0] === "string" ? args[0] : "";
        const method = prefix + key;
        const kind = kindOf(method, detail);
        if (kind !== null) {
          const effect = table.strike({ object, kind, method, detail });
          if (effect !== undefined) return fail(effect as StorageEffect, prefix, ctx);
        }
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** What is not known (transactions, bookmarks) does not fail by itself. */
function kindOf(method: string, detail: string): Happening["kind"] | null {
  if (method === "sql.exec") return READING_SQL.test(detail) ? "read" : "write";
  return KINDS[method] ?? null;
}

/** `kv` and `sql` throw; the rest answers with promises. */
function fail({ error, isFatal }: StorageEffect, prefix: string, ctx: DurableObjectState): unknown {
  if (isFatal) ctx.abort(error.message);
  if (prefix !== "") throw error;
  const rejected = Promise.reject(error);
  // Who does not wait for it relies on the output gate: no unhandled rejection on the platform either.
  rejected.catch(() => {});
  return rejected;
}
