/**
 * Reads DATABASE_URL. Which protocol its Postgres speaks follows from the host. The hub always speaks Neon's
 * HTTP: on a loopback host a process of `npm run dev` serves that, on the URL's own port. Never echoes the
 * value.
 */
import { err, ok, type Result } from "./result.ts";

/** A checked DATABASE_URL. */
export interface DatabaseUrl {
  readonly url: string;
  /** Without port, in lower case. */
  readonly host: string;
  /** How a program on this machine speaks to it: Neon's HTTP, or Postgres's ordinary protocol. */
  readonly speaks: "neon" | "postgres";
  /** Where the hub's SQL goes over HTTP; `null` leaves it to the Neon driver. */
  readonly endpoint: string | null;
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** What the names of Neon's hosts end in; it gives out no others. */
const NEON_HOST = /\.neon\.(?:tech|build)\.?$/;

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
  const speaks = NEON_HOST.test(host) ? "neon" : "postgres";
  return ok({ url: text, host, speaks, endpoint });
}
