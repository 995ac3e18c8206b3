/**
 * Where the command line talks to: what is set in `.dev.vars` or the environment, else the hub that
 * `npm run dev` runs. Never half of one and half of another: a running hub counts only where everything
 * that is set agrees with it.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { err, ok, type Result } from "../core/result.ts";
import { UserError } from "../local/fail.ts";
import { findAdminToken } from "../local/find-admin-token.ts";
import { findDatabaseUrl } from "../local/find-database-url.ts";
import { findSetting } from "../local/find-setting.ts";
import { findRunningHub, type RunningHub } from "../local/running-hub.ts";

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
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

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
    };
  }
  return { database, hub: joinHub(hubUrl, adminToken) };
}

function agrees(
  running: RunningHub,
  set: { readonly database: DatabaseUrl | null; readonly hubUrl: string | null },
): boolean {
  return (
    (set.database === null || set.database.url === running.databaseUrl) &&
    (set.hubUrl === null || set.hubUrl === running.hubUrl)
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
  const setting = findSetting("HUB_URL");
  if (setting === null) return null;
  const parsed = parseHubUrl(setting.value);
  if (parsed.ok) return parsed.value;
  throw new UserError(`${parsed.error} (from ${setting.place})`);
}

function parseHubUrl(text: string): Result<string> {
  if (!URL.canParse(text)) return err("HUB_URL is not a URL: https://HOST");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return err("HUB_URL does not begin with https:// or http://");
  }
  // The admin token would travel in the clear.
  if (url.protocol === "http:" && !LOOPBACK_HOSTS.has(url.hostname)) {
    return err("HUB_URL must begin with https:// unless its host is localhost");
  }
  if (url.username !== "" || url.search !== "" || url.hash !== "") {
    return err("HUB_URL must have no user, query or fragment: https://HOST");
  }
  return ok(`${url.origin}${url.pathname}`.replace(/\/+$/, ""));
}
