/**
 * What a DATABASE_URL says to Postgres's ordinary protocol, as psql (libpq) reads it: where and who, and how much TLS
 * is asked for. Invariant: of the environment nothing takes the place of what the URL says.
 */
import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type { ClientConfig } from "pg";
import type { DatabaseUrl } from "../../core/database-url.ts";
import { UserError } from "../fail.ts";

/** How to connect. */
export interface PgSettings {
  readonly config: ClientConfig & { readonly host: string; readonly port: number };
  /** What to try in turn, where the one before says that it speaks no TLS. */
  readonly tls: readonly (ConnectionOptions | false)[];
}

/** Where a URL names a second place, its host is not the one that is spoken to. */
const OTHER_PLACES = ["host", "hostaddr", "port", "user", "password", "dbname"];

const TLS_FILES = [
  ["sslrootcert", "ca"],
  ["sslcert", "cert"],
  ["sslkey", "key"],
] as const;

const DEFAULT_PORT = 5432;

/** Reads a URL; throws a UserError that quotes none of its values. */
export function readPgSettings({ url: text, endpoint }: DatabaseUrl): PgSettings {
  const url = new URL(text);
  const params = url.searchParams;
  for (const name of OTHER_PLACES) {
    if (params.has(name)) {
      throw new UserError(
        `DATABASE_URL has "${name}" after the question mark: write it as ` +
          "postgres://USER:PASSWORD@HOST:PORT/DATABASE (a socket's folder cannot be used)",
      );
    }
  }
  const options = params.get("options");
  return {
    config: {
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(url.port || DEFAULT_PORT),
      user: decode(url.username, "user"),
      ...(url.password !== "" && { password: decode(url.password, "password") }),
      database: decode(url.pathname.slice(1), "database"),
      ...(options !== null && { options }),
      application_name: params.get("application_name") ?? "wspubsub",
      enableChannelBinding: params.get("channel_binding") !== "disable",
    },
    tls: readTls(params, endpoint !== null),
  };
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // URIError.
    throw new UserError(`The ${name} in DATABASE_URL has a "%" that stands for itself: write %25`);
  }
}

/** By libpq's names; what is asked for without a check of the certificate is so there, too. */
function readTls(params: URLSearchParams, isLoopback: boolean): PgSettings["tls"] {
  const files = readFiles(params);
  const unchecked = { ...files, rejectUnauthorized: false };
  const ofAnyName = { ...files, checkServerIdentity: () => undefined };
  const mode = params.get("sslmode") ?? (params.get("ssl") === "true" ? "require" : "prefer");
  switch (mode) {
    case "disable":
      return [false];
    case "allow":
    case "prefer":
      return isLoopback ? [false] : [unchecked, false];
    case "require":
      return ["ca" in files ? ofAnyName : unchecked];
    case "no-verify":
      return [unchecked];
    case "verify-ca":
      return [ofAnyName];
    case "verify-full":
      return [files];
    default:
      throw new UserError(
        "sslmode in DATABASE_URL is none of disable, prefer, require, verify-ca, verify-full",
      );
  }
}

function readFiles(params: URLSearchParams): ConnectionOptions {
  const files: ConnectionOptions = {};
  for (const [param, option] of TLS_FILES) {
    const file = params.get(param);
    // libpq's word for the authorities that the system knows, which Node takes without being told.
    if (file === null || file === "system") continue;
    try {
      files[option] = readFileSync(file);
    } catch (cause) {
      // Whatever the system says: no such file, a directory, not allowed.
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      throw new UserError(`Cannot read the file of ${param} in DATABASE_URL: ${code}`, { cause });
    }
  }
  return files;
}
