/**
 * The URLs of tests: every test takes a fresh topic of the hub under test, and a fresh domain where it
 * needs a policy of its own.
 */
import { neon, neonConfig } from "@neondatabase/serverless";
import { inject } from "vitest";
import { noteSecret } from "./secrets.ts";

/** Shorter ones stand for a key that there is not, and are found in any text. */
const LEAST_KEY_LENGTH = 16;

/** The URLs of one topic. */
export interface TopicUrls {
  readonly pub: string;
  readonly sub: string;
}

/** The URLs of a topic that no other test uses. */
export function freshTopic(): TopicUrls {
  const { url, key, domain } = inject("hub");
  return topicUrls(url, { key, domain });
}

/** The URLs of a fresh topic of some hub. */
export function topicUrls(url: string, of: { key: string; domain: string }): TopicUrls {
  const topic = crypto.randomUUID();
  // Wrong ones, too: who mistypes a key would find most of it in the log.
  if (of.key.length >= LEAST_KEY_LENGTH) noteSecret("key", decodeURIComponent(of.key));
  return {
    pub: `${url}/ws/pub/${of.key}/${of.domain}/${topic}`,
    sub: `${url}/ws/sub/${of.domain}/${topic}`,
  };
}

/** Runs SQL where the hub under test keeps its keys. */
export async function sql(
  query: string,
  params: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const { sqlEndpoint } = inject("hub");
  if (sqlEndpoint === null) throw new Error("This hub's Postgres is out of reach");
  neonConfig.fetchEndpoint = sqlEndpoint;
  return neon("postgres://postgres:postgres@127.0.0.1/postgres").query(query, params);
}

/** What DATABASE_URL must be for a hub of the test's own that knows the same keys. */
export function databaseUrl(): string {
  const { sqlEndpoint } = inject("hub");
  if (sqlEndpoint === null) throw new Error("This hub's Postgres is out of reach");
  return `postgres://postgres:postgres@${new URL(sqlEndpoint).host}/postgres`;
}

/** Creates another key of a domain; returns it with its number. */
export async function freshKey(
  domain: string,
  columns: { active?: boolean; expiresInSeconds?: number } = {},
): Promise<{ key: string; id: number }> {
  const key = noteSecret("key", crypto.randomUUID());
  const [row] = await sql(
    `insert into apikeys (domain, username, apikey, active, expires_at)
      values ($1, 'tester@example.com', $2, $3, now() + $4::float8 * interval '1 second') returning id`,
    [domain, key, columns.active ?? true, columns.expiresInSeconds ?? null],
  );
  return { key, id: Number(row?.["id"]) };
}

/** Creates a domain with a key and, where columns are given, a policy. */
export async function freshDomain(
  policy: Record<string, string | number | boolean> | null = null,
): Promise<{ key: string; domain: string }> {
  const [key, domain] = [crypto.randomUUID(), `domain-${crypto.randomUUID()}`];
  noteSecret("key", key);
  await sql("insert into apikeys (domain, username, apikey, active) values ($1, $2, $3, true)", [
    domain,
    "tester@example.com",
    key,
  ]);
  if (policy !== null) {
    const columns = Object.keys(policy);
    const places = columns.map((_, i) => `$${i + 2}`);
    await sql(
      `insert into domains (domain, ${columns.join(", ")}) values ($1, ${places.join(", ")})`,
      [domain, ...Object.values(policy)],
    );
  }
  return { key, domain };
}
