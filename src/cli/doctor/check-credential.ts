/** Whether a key or a token opens what it is for: what it says itself, and what the hub says. Shows no part of it. */
import { decodeJwt, type JWTPayload } from "jose";
import { parseJson } from "../input/parse-json.ts";
import { bearerOf, fitsHeader, type Credential } from "../messages/credential.ts";
import { readProblem, type ToldProblem } from "../messages/read-problem.ts";
import { remedyFor } from "../messages/remedy.ts";
import { messagesUrl } from "../messages/topic-address.ts";
import { describeFetchFailure } from "../output/describe-fetch-failure.ts";
import type { Store } from "../store.ts";
import { explainRejectedKey } from "./explain-rejected-key.ts";
import { fine, LIMIT_MS, skipped, wrong, type Check } from "./check.ts";

/** What it is tried on. */
export interface CredentialTarget {
  readonly hubUrl: string;
  readonly domain: string | null;
  readonly topic: string | null;
  /** The hub's key store, `null` where it is not known. */
  readonly store: Store | null;
}

/** Refusals of somebody whose token is good. */
const OPENS: ReadonlySet<string> = new Set(["topic-not-live", "token-lacks-subscribe"]);

/** Looks at one, and tries it. */
export async function checkCredential(
  credential: Credential,
  { hubUrl, domain, topic, store }: CredentialTarget,
): Promise<Check[]> {
  const { type, place } = credential;
  const read = type === "token" ? readClaims(credential, domain) : [];
  if (read.some(({ status }) => status === "wrong")) return read;
  if (domain === null)
    return [...read, skipped(type, `not tried (from ${place})`, "give --domain")];
  if (type === "token" && topic === null) {
    return [...read, skipped(type, `not tried (from ${place})`, "give --topic")];
  }
  const url =
    type === "key"
      ? `${hubUrl}/v1/domains/${encodeURIComponent(domain)}/topics?limit=1`
      : `${messagesUrl({ hubUrl, domain, topic: topic ?? "" })}?limit=1`;
  if (!fitsHeader(credential)) {
    const detail = `not tried: it cannot stand in a header (from ${place})`;
    return [...read, skipped(type, detail, "a socket takes it: wspubsub pub")];
  }
  const answer = await ask(url, bearerOf(credential));
  if (typeof answer === "string") return [...read, wrong(type, answer)];
  if (answer === null || OPENS.has(answer.slug)) {
    const detail = answer?.slug === "token-lacks-subscribe" ? "it publishes only" : "it opens";
    return [...read, fine(type, `${detail} (from ${place})`)];
  }
  const cause =
    answer.slug === "key-rejected"
      ? await explainRejectedKey(store, credential.value, domain)
      : null;
  const attempt = { domain, topic: topic ?? "*", does: "subscribe" } as const;
  const remedy = remedyFor(answer.slug, attempt);
  return [
    ...read,
    wrong(type, `${answer.slug}: ${cause ?? answer.detail} (from ${place})`, remedy),
  ];
}

/** What a token says, as far as it can be seen to be wrong without its secret. */
function readClaims({ value, place }: Credential, domain: string | null): Check[] {
  let claims: JWTPayload;
  try {
    claims = decodeJwt(value);
  } catch {
    // JWTInvalid, TypeError.
    return [
      wrong(
        "claims",
        `it is no token (from ${place})`,
        "a key is given as WSPUBSUB_KEY or --key-file",
      ),
    ];
  }
  const { exp, aud, sub } = claims;
  const shown = [
    `aud ${JSON.stringify(aud)}`,
    `sub ${JSON.stringify(sub)}`,
    `exp ${exp === undefined ? "missing" : new Date(exp * 1000).toISOString()}`,
    `authorization_details ${JSON.stringify(claims["authorization_details"])}`,
  ].join(", ");
  if (exp === undefined || exp * 1000 < Date.now()) {
    return [wrong("claims", `it has expired: ${shown}`, "get another: wspubsub tokens mint")];
  }
  const audience = domain === null ? null : `wspubsub:${encodeURIComponent(domain)}`;
  if (audience !== null && ![aud].flat().includes(audience)) {
    return [wrong("claims", `it is for another domain: ${shown}`, `its aud must be ${audience}`)];
  }
  return [fine("claims", shown)];
}

/** The hub's refusal, `null` where there is none, or a clause where there is no answer. */
async function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<ToldProblem | null | string> {
  try {
    const response = await fetch(url, {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const body = parseJson(await response.text());
    if (response.status === 200) return null;
    return readProblem(body) ?? `the answer is ${response.status}, and not as a hub's`;
  } catch (error) {
    // TypeError: no connection, or none that lasted. TimeoutError.
    return describeFetchFailure(error, LIMIT_MS);
  }
}
