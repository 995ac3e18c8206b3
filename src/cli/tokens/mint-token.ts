/** `wspubsub tokens mint`: a token that lets its bearer subscribe, or publish. */
import { randomUUID } from "node:crypto";
import { UserError } from "../../local/fail.ts";
import { isLive } from "../../core/token-settings.ts";
import { DEFAULT_DOMAIN, isLiveSecret, type DomainRow } from "../domains/domain-row.ts";
import { formatDate } from "../output/format-date.ts";
import { OutputError } from "../output/output.ts";
import { lastArgument } from "../output/shell-quote.ts";
import { expiryDate, type Expiry } from "../input/parse-expiry.ts";
import type { Session } from "../session.ts";
import { readPrivateKey, secretKey, signToken, type SigningKey } from "./sign-token.ts";

/** Its options. */
export interface MintTokenOptions {
  readonly topics: readonly string[];
  /** `subscribe`, `publish` or both. */
  readonly actions: readonly string[];
  readonly subject?: string;
  readonly expires: Expiry;
  readonly issuer?: string;
  readonly privateKey?: string;
}

/** A token as JSON has it. */
interface MintedToken {
  readonly domain: string;
  readonly token: string;
  readonly expires_at: string;
  readonly claims: object;
}

/** Makes the token and prints it. */
export async function mintToken(
  session: Session,
  domain: string,
  options: MintTokenOptions,
): Promise<void> {
  const own = options.privateKey === undefined ? null : await readPrivateKey(options.privateKey);
  const row = await findDomain(session, domain, own);
  const key = own ?? keyOfDomain(domain, row);
  const issuer = options.issuer ?? row?.policy.get("token_issuer") ?? undefined;
  const exp = Math.floor(expiryDate(options.expires).getTime() / 1000);
  const claims = {
    ...(issuer !== undefined && { iss: String(issuer) }),
    // The hub insists on one.
    sub: options.subject ?? randomUUID(),
    aud: `wspubsub:${encodeURIComponent(domain)}`,
    iat: Math.floor(Date.now() / 1000),
    exp,
    authorization_details: [
      { type: "wspubsub", actions: [...options.actions], topics: [...options.topics] },
    ],
  };
  const token = await signToken(claims, key);
  const expiresAt = new Date(exp * 1000);
  await show(session, { domain, token, expires_at: expiresAt.toISOString(), claims });
  session.note(
    `Lets its bearer ${options.actions.join(" and ")} to ${options.topics.map((topic) => `"${topic}"`).join(", ")} of "${domain}" ` +
      `until ${formatDate(expiresAt)}.`,
  );
  const { actions } = options;
  for (const doubt of findDoubts(domain, row, { key, issuer, actions })) session.note(doubt);
}

/** Shows it; one that nobody has seen opens nothing, so there is nothing to be done about it. */
async function show(session: Session, minted: MintedToken): Promise<void> {
  try {
    await session.printOnce(minted, minted.token);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    throw new UserError(`${error.message}: the token was not shown, mint another`, {
      cause: error,
    });
  }
}

/** The domain's row or the defaults; `null` where no store is known and none is needed. */
async function findDomain(
  session: Session,
  domain: string,
  own: SigningKey | null,
): Promise<DomainRow | null> {
  const store = own === null ? session.store : session.findStore();
  return store === null ? null : ((await store.findDomain(domain)) ?? DEFAULT_DOMAIN);
}

function keyOfDomain(domain: string, row: DomainRow | null): SigningKey {
  const secret = row?.tokenSecret ?? null;
  if (isLiveSecret(secret)) return secretKey(secret.text);
  if (secret !== null) {
    throw new UserError(
      `The token secret of "${domain}" has ended: make another with domains rotate-secret, ` +
        "or sign with --private-key",
    );
  }
  throw new UserError(
    `"${domain}" has no token secret: set one with domains set --token-secret new ${lastArgument(domain)}, ` +
      "or sign with --private-key",
  );
}

interface Minted extends Pick<MintTokenOptions, "actions"> {
  readonly key: SigningKey;
  readonly issuer: unknown;
}

/** Why the hub may refuse the token, or not ask for it. */
function findDoubts(
  domain: string,
  row: DomainRow | null,
  { key, issuer, actions }: Minted,
): string[] {
  if (row === null) return [];
  const doubts: string[] = [];
  const required = row.policy.get("token_issuer") ?? null;
  if (required !== null && issuer !== required) {
    doubts.push(`But "${domain}" takes tokens of the issuer "${String(required)}" only.`);
  }
  if (key.x !== null) doubts.push(...findDoubtsOfKey(domain, row, key.x));
  if (actions.includes("publish") && row.policy.get("token_publishers") !== true) {
    doubts.push(
      `But "${domain}" takes no tokens of publishers: domains set --token-publishers true ${lastArgument(domain)}.`,
    );
  }
  if (actions.includes("subscribe") && row.policy.get("subscribers") === "open") {
    doubts.push(`But "${domain}" is open: anyone may subscribe without a token.`);
  }
  return doubts;
}

function findDoubtsOfKey(domain: string, { tokenKeys }: DomainRow, x: string): string[] {
  const known = tokenKeys?.usable.filter(({ jwk }) => jwk["x"] === x) ?? [];
  if (known.length === 0) return [`But the public key is not among the token_keys of "${domain}".`];
  if (!known.some((key) => isLive(key, Date.now()))) {
    return [`But the public key has ended in the token_keys of "${domain}".`];
  }
  const fault = tokenKeys?.fault ?? null;
  return fault === null ? [] : [`But the hub refuses the token_keys of "${domain}": ${fault}.`];
}
