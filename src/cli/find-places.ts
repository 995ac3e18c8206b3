/**
 * Where the command line talks to: what is set in the environment or in `.dev.vars`, else the hub that
 * `npm run dev` runs. Never half of one and half of another: a running hub counts only where everything
 * that is set agrees with it. Its token counts wherever HUB_URL is its.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { err, ok, type Result } from "../core/result.ts";
import { UserError } from "../local/fail.ts";
import { findAdminToken } from "../local/find-admin-token.ts";
import { findDatabaseUrl } from "../local/find-database-url.ts";
import { findSetting, noteChoice } from "../local/find-setting.ts";
import { findRunningHub, type RunningHub } from "../local/running-hub.ts";
import { isLoopback, isSameDatabase, isSameHub } from "../local/same-place.ts";

/** The hub's admin routes. */
export interface HubPlace {
  /** Without a slash at its end. */
  readonly url: string;
  readonly adminToken: string;
}

/** The two places. */
export interface Places {
  readonly database: DatabaseUrl | null;
  /** Or what is missing, as a clause. */
  readonly hub: Result<HubPlace>;
  /** The hub alone, for what needs no admin token; `null` where none is known. */
  readonly hubUrl: string | null;
  /** Whether it is the hub of `npm run dev`, on a database that has the keys which everybody knows. */
  readonly hasTestKeys: boolean;
}

/** Finds them; throws a UserError for a setting that is wrong. */
export function findPlaces(state: string): Places {
  const database = findDatabaseUrl();
  const hubUrl = findHubUrl();
  const adminToken = findAdminToken();
  const running = findRunningHub(state);
  if (running !== null && agrees(running, { database, hubUrl })) {
    return {
      database: database ?? parseRunning(running),
      hub: ok({ url: running.hubUrl, adminToken: running.adminToken }),
      hubUrl: running.hubUrl,
      hasTestKeys: database === null,
    };
  }
  if (running !== null && hubUrl !== null && isSameHub(hubUrl, running.hubUrl)) {
    const hub = joinHub(running.hubUrl, adminToken ?? running.adminToken);
    return { database, hub, hubUrl, hasTestKeys: false };
  }
  return { database, hub: joinHub(hubUrl, adminToken), hubUrl, hasTestKeys: false };
}

function agrees(
  running: RunningHub,
  set: { readonly database: DatabaseUrl | null; readonly hubUrl: string | null },
): boolean {
  return (
    (set.database === null || isSameDatabase(set.database.url, running.databaseUrl)) &&
    (set.hubUrl === null || isSameHub(set.hubUrl, running.hubUrl))
  );
}

function joinHub(url: string | null, adminToken: string | null): Result<HubPlace> {
  if (url !== null && adminToken !== null) return ok({ url, adminToken });
  if (url !== null) return err("ADMIN_TOKEN is not set");
  return err(adminToken !== null ? "HUB_URL is not set" : "HUB_URL and ADMIN_TOKEN are not set");
}

function parseRunning({ databaseUrl }: RunningHub): DatabaseUrl | null {
  const parsed = parseDatabaseUrl(databaseUrl);
  return parsed.ok ? parsed.value : null;
}

function findHubUrl(): string | null {
  const setting = findSetting("HUB_URL", "the environment");
  if (setting === null) return null;
  const parsed = parseHubUrl(setting.value);
  if (!parsed.ok) throw new UserError(`${parsed.error} (from ${setting.place})`);
  const other = setting.other === null ? parsed : parseHubUrl(setting.other);
  const isSame = other.ok && isSameHub(other.value, parsed.value);
  if (!isSame) noteChoice("HUB_URL", setting, new URL(parsed.value).host);
  return parsed.value;
}

/** Reads a hub's URL, without a slash at its end; the error names it and quotes nothing. */
export function parseHubUrl(text: string, name: string = "HUB_URL"): Result<string> {
  if (!URL.canParse(text)) return err(`${name} is not a URL: https://HOST`);
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return err(`${name} does not begin with https:// or http://`);
  }
  // The admin token, and keys, would travel in the clear.
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return err(`${name} must begin with https:// unless its host is localhost`);
  }
  if (url.username !== "" || url.search !== "" || url.hash !== "") {
    return err(`${name} must have no user, query or fragment: https://HOST`);
  }
  return ok(`${url.origin}${url.pathname}`.replace(/\/+$/, ""));
}
