/** `wspubsub domains rotate-secret`: a new token secret, beside the old one for a while. */
import { UserError } from "../../local/fail.ts";
import type { Expiry } from "../input/parse-expiry.ts";
import { makeSecret } from "../make-secret.ts";
import { formatDate } from "../output/format-date.ts";
import type { Session } from "../session.ts";
import { isLiveSecret, type DomainRow } from "./domain-row.ts";
import { domainJson } from "./show-domain.ts";
import { domainSyncJson, syncDomain } from "./sync-domain.ts";

/** Its options. */
export interface RotateSecretOptions {
  /** Seconds. */
  readonly overlap: number;
  readonly expires?: Expiry;
}

/** Makes a secret that signs from now on, and lets the old one end after the overlap. */
export async function rotateSecret(
  session: Session,
  domain: string,
  options: RotateSecretOptions,
): Promise<void> {
  const secret = makeSecret();
  const rotated = await session.store.rotateSecret(domain, secret, {
    overlapSeconds: options.overlap,
    expiry: options.expires ?? null,
  });
  if (rotated === null) {
    throw new UserError(
      `"${domain}" has no token secret: set one with domains set ${domain} --token-secret new`,
    );
  }
  const { row, hasEndedAnother } = rotated;
  const sync = await syncDomain(session, domain);
  session.print(
    { ...domainJson(domain, row), ...domainSyncJson(sync), token_secret: secret },
    secret,
  );
  session.note(
    `The token secret of "${domain}" is a new one, ${describeEnd(row.tokenSecret?.expiresAt ?? null)}. ` +
      `It is shown this once and never again.\n${describeOld(row)}`,
  );
  if (hasEndedAnother) {
    session.note("A domain has two secrets: the one before the old one ends with this.");
  }
}

function describeOld({ previousTokenSecret: old }: DomainRow): string {
  return isLiveSecret(old)
    ? `The old one goes on signing tokens: ${describeEnd(old.expiresAt)}.`
    : "The old one signs nothing any more: the hub refuses its tokens within 15 seconds.";
}

function describeEnd(expiresAt: Date | null): string {
  return expiresAt === null ? "without end" : `until ${formatDate(expiresAt)}`;
}
