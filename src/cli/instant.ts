/**
 * Instants as the command line reads them of Postgres: as numbers, since what they look like as text depends on
 * settings of the database and the role (`datestyle`).
 */
import * as v from "valibot";

/** SQL for an instant in milliseconds since 1970, `null` for none. */
export function instant(expression: string): string {
  return `(extract(epoch from ${expression}) * 1000)::float8`;
}

/** Reads one. Postgres counts microseconds. */
export const InstantSchema: v.GenericSchema<unknown, Date | null> = v.nullable(
  v.pipe(
    v.number(),
    v.finite(),
    v.transform((ms) => new Date(Math.round(ms))),
  ),
);
