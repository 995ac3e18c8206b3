/**
 * What the claims of a token must say to let its bearer do something with a topic (PROTOCOL.md, 13.3, 13.4 and 13.12).
 * Knows nothing of signatures: the caller has verified them. A reason never repeats a claim.
 */
import * as v from "valibot";
import type { Address } from "./address.ts";
import type { TokenSettings } from "./token-settings.ts";
import { matchesTopic } from "./topic-pattern.ts";

/** What a token opens. */
export interface Access {
  /** The user that the token is for, its `sub`. */
  readonly subject: string;
  /** When the socket closes; milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** What a token may let its bearer do with a topic. */
export type TokenAction = "subscribe" | "publish";

/** What a token is presented for. */
export interface AskedAccess {
  readonly address: Address;
  readonly action: TokenAction;
}

/** What claims come to. */
export type AccessCheck =
  | { readonly ok: true; readonly value: Access }
  | { readonly ok: false; readonly error: string; readonly cause: Cause };

/**
 * `expired`: all else is well, so another token opens. `action`: it is for this topic, and for something else there.
 * `issuer`: the domain may name another by now.
 */
type Cause = "expired" | "action" | "issuer" | "claims";

/** How far the clock of who made the token may be ahead. At its end there is no leeway: the socket closes then. */
const MAX_AHEAD_MS = 60_000;
/** A token without a sane end holds no socket for longer: it must come back, and be looked at again. */
const MAX_ACCESS_MS = 30 * 86_400_000;
const MAX_DETAILS = 100;
const MAX_TOPICS = 1000;

const DateSchema = v.pipe(v.number(), v.finite());

const ClaimsSchema = v.object({
  iss: v.optional(v.string()),
  aud: v.union([v.string(), v.array(v.string())]),
  sub: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
  exp: DateSchema,
  nbf: v.optional(DateSchema),
  iat: v.optional(DateSchema),
  authorization_details: v.pipe(
    v.array(v.looseObject({ type: v.string() })),
    v.maxLength(MAX_DETAILS),
  ),
});

/** RFC 9396, section 2; "actions" is one of its common members, "topics" is ours. */
const DetailSchema = v.object({
  type: v.literal("wspubsub"),
  actions: v.array(v.string()),
  topics: v.pipe(v.array(v.string()), v.maxLength(MAX_TOPICS)),
});

/** What `aud` of a domain's tokens must be or contain; a URI, as RFC 7519, section 2 (StringOrURI) wants it. */
export function audienceOf(domain: string): string {
  return `wspubsub:${encodeURIComponent(domain)}`;
}

/** Reads the payload of a verified token; the error says in plain words why it does not allow what is asked for. */
export function readAccess(
  payload: unknown,
  { action, address: { domain, topic } }: AskedAccess,
  { issuer }: TokenSettings,
  nowMs: number,
): AccessCheck {
  const parsed = v.safeParse(ClaimsSchema, payload);
  if (!parsed.success) {
    const [name] = (v.getDotPath(parsed.issues[0]) ?? "payload").split(".");
    return refuse(`The token's "${name}" is missing or not of the right form`);
  }
  const { iss, aud, sub, exp, nbf, iat, authorization_details: details } = parsed.output;
  if (![aud].flat().includes(audienceOf(domain))) {
    return refuse('The token is not meant for this domain: "aud" is another');
  }
  if (issuer !== null && iss !== issuer) {
    return refuse("The token's \"iss\" is not the domain's", "issuer");
  }
  if (Math.max(nbf ?? 0, iat ?? 0) * 1000 > nowMs + MAX_AHEAD_MS) {
    return refuse("The token is not valid yet");
  }
  const actions = details.flatMap((detail) => actionsOn(topic, detail));
  if (!actions.includes(action)) {
    const isForTopic = actions.some(isKnown);
    return refuse(
      `The token's "authorization_details" do not let it ${action} to this topic`,
      isForTopic ? "action" : "claims",
    );
  }
  // Last: a client that hears of it knows that a new token is all that is missing.
  if (exp * 1000 <= nowMs) return refuse("The token has expired", "expired");
  const expiresAtMs = Math.min(exp * 1000, nowMs + MAX_ACCESS_MS);
  return { ok: true, value: { subject: sub, expiresAtMs } };
}

function refuse(error: string, cause: Cause = "claims"): AccessCheck {
  return { ok: false, error, cause };
}

/** What an authorization detail lets its holder do with a topic; those of other types are for others. */
function actionsOn(topic: string, detail: unknown): readonly string[] {
  const parsed = v.safeParse(DetailSchema, detail);
  if (!parsed.success) return [];
  const { actions, topics } = parsed.output;
  return topics.some((pattern) => matchesTopic(pattern, topic)) ? actions : [];
}

/** A later hub may know more; what this one does not know opens nothing, and tells nothing of the token. */
function isKnown(action: string): action is TokenAction {
  return action === "subscribe" || action === "publish";
}
