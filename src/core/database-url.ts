/**
 * Reads DATABASE_URL. Neon's HTTP endpoint follows from the host, but a loopback host means the
 * Postgres of `npm run dev`, which serves the same protocol on its own port. Never echoes the value.
 */
import { err, ok, type Result } from "./result.ts";

/** A checked DATABASE_URL. */
export interface DatabaseUrl {
  readonly url: string;
  readonly host: string;
  /** Where its SQL goes over HTTP; `null` leaves it to the Neon driver. */
  readonly endpoint: string | null;
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Checks a Postgres URL with user, host and database; the error never repeats any of it. */
export function parseDatabaseUrl(text: string): Result<DatabaseUrl> {
  if (!URL.canParse(text))
    return err("DATABASE_URL is not a URL: postgres://USER:PASSWORD@HOST/DATABASE");
  const url = new URL(text);
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    return err("DATABASE_URL does not begin with postgres:// or postgresql://");
  }
  if (url.username === "")
    return err("DATABASE_URL names no user: postgres://USER:PASSWORD@HOST/DATABASE");
  if (url.hostname === "")
    return err("DATABASE_URL names no host: postgres://USER:PASSWORD@HOST/DATABASE");
  if (url.pathname.length < 2) {
    return err("DATABASE_URL names no database: postgres://USER:PASSWORD@HOST/DATABASE");
  }
  // Unlike that of an http: URL it comes as it was written.
  const host = url.hostname.toLowerCase();
  const endpoint = LOOPBACK_HOSTS.has(host) ? `http://${host}:${url.port || "5432"}/sql` : null;
  return ok({ url: text, host, endpoint });
}
