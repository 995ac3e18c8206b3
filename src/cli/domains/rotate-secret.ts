/** `wspubsub domains rotate-secret`: a new token secret, beside the old one for a while. */
import { UserError } from "../../local/fail.ts";
import type { Expiry } from "../input/parse-expiry.ts";
import { makeSecret } from "../make-secret.ts";
import { formatDate } from "../output/format-date.ts";
import { lastArgument } from "../output/shell-quote.ts";
import type { Session } from "../session.ts";
import { showOnce } from "../show-once.ts";
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
  const argument = lastArgument(domain);
  // Rotated once more, the secret that nobody has seen would take the old one's place.
  const again =
    `set the old one again with domains set --token-secret - ${argument}, ` +
    `then rotate it with domains rotate-secret ${argument}`;
  const rotated = await showOnce({
    make: () =>
      session.store.rotateSecret(domain, secret, {
        overlapSeconds: options.overlap,
        expiry: options.expires ?? null,
      }),
    doubt: `the token secret may have been replaced by one that nobody has seen: ${again}`,
    remedy: () => `the new token secret was stored and could not be shown: ${again}`,
    show: async ({ row }) => {
      const sync = domainSyncJson(await syncDomain(session, domain));
      await session.printOnce(
        { ...domainJson(domain, row), ...sync, token_secret: secret },
        secret,
      );
    },
  });
  if (rotated === null) {
    throw new UserError(
      `"${domain}" has no token secret: set one with domains set --token-secret new ${argument}`,
    );
  }
  const { row, hasEndedAnother } = rotated;
  session.note(
    `The token secret of "${domain}" is a new one, ${describeEnd(row.tokenSecret?.expiresAt ?? null)}. ` +
      "It is shown this once and never again.",
  );
  session.note(describeOld(row));
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
