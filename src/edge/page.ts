/**
 * A page from end to end (PROTOCOL.md, section 18): what its URL and headers say, which client asks, and what its topic
 * answers.
 * Invariant: it is one call to the topic, unless it waits.
 */
import { formatAdmission, type SubscriberAdmission } from "../core/admission.ts";
import type { Address } from "../core/address.ts";
import { checkCredentials, MAX_WAIT_SECONDS } from "../core/connect-options.ts";
import { askAgain } from "../core/fresh-stub.ts";
import { DEFAULT_PAGE_MESSAGES, MAX_PAGE_MESSAGES } from "../core/page.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { parseSince } from "../core/since.ts";
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { lacksMethod } from "../core/version-before.ts";
import { topicStub, type StubEnv } from "../stubs.ts";
import type { PageAnswer } from "../topic/pages.ts";
import { acceptsJson } from "./accept.ts";
import { takeTurns, type Ask } from "./admit.ts";
import type { Caller } from "./caller.ts";
import { checkKeyWithDomain } from "./check-credential.ts";
import { checkPlace } from "./check-place.ts";
import { readSubscriberCredential } from "./credential.ts";
import { countEmptyRead } from "./empty-reads.ts";
import type { SubscriberHandshake } from "./handshake.ts";
import { lateBody } from "./late-body.ts";
import { prepare } from "./prepare-admission.ts";
import { OUTDATED_TOPIC } from "./topic-reports.ts";
import { waitForMessages } from "./wait-for-messages.ts";

/** A page, written. */
export type PageBody = Extract<PageAnswer, { readonly type: "page" }>;

/** What URL and headers ask for. */
interface Asked {
  readonly handshake: SubscriberHandshake;
  readonly since: string;
  readonly limit: number;
  /** How long to wait for the first message. */
  readonly waitSeconds: number;
}

const NOT_ACCEPTABLE: Problem = {
  slug: "not-acceptable",
  detail: 'There is "application/json": name it in Accept, or send none',
};

/** Reads what a request asks for. */
export async function getPage(
  request: Request,
  address: Address,
  caller: Caller,
): Promise<Result<PageBody, Problem>> {
  const place = checkPlace(caller.env);
  if (!place.ok) return place;
  const asked = readAsked(request, address);
  if (!asked.ok) return asked;
  const { handshake, limit, waitSeconds } = asked.value;
  const { credential } = handshake;
  if (credential?.type === "key") {
    // A topic hears only of keys that it knows of, and a page makes it know of none.
    const checked = await checkKeyWithDomain(caller, credential, address.domain);
    if (!checked.ok) return checked;
  }
  const prepared = await prepare(handshake, caller);
  if (!prepared.ok) return prepared;
  const { admission } = prepared.value;
  const readFrom = async (since: string): Promise<Result<PageBody, Problem>> => {
    const ask: Ask<Result<PageBody, Problem>> = async (said) => {
      if (said.role !== "subscriber") throw new Error("Cannot read as a publisher");
      return askTopic(caller.env, address, { ...said, since }, limit);
    };
    const turns = await takeTurns(handshake, caller, admission, ask);
    return turns.ok ? turns.value : turns;
  };
  const read = (
    since: string,
    isInVain: (page: PageBody) => boolean,
  ): ReturnType<typeof readFrom> =>
    countEmptyRead(handshake, caller, () => readFrom(since), isInVain);
  const waits = waitSeconds > 0;
  const page = await read(asked.value.since, ({ isEmpty }) => isEmpty && !waits);
  if (!page.ok || !waits || !page.value.isEmpty) return page;
  const options = { ...handshake.options, since: page.value.cursor };
  const waiting = await waitForMessages({ ...handshake, options }, caller, waitSeconds);
  if (!waiting.ok) return waiting;
  const { over, stop } = waiting.value;
  const whole = over.then(async () => {
    // From where it waits: what was asked for, "the last one", would by now be another place.
    const later = await read(options.since, ({ isEmpty }) => isEmpty);
    // What it is refused by now it is told when it asks again.
    return later.ok ? later.value.body : page.value.body;
  });
  const { body, written } = lateBody(whole, stop);
  caller.keepAlive(written);
  return ok({ ...page.value, body });
}

function readAsked({ method, url, headers }: Request, address: Address): Result<Asked, Problem> {
  if (!acceptsJson(headers.get("Accept"))) return err(NOT_ACCEPTABLE);
  const query = new URL(url).searchParams;
  const inQuery = checkCredentials(query);
  if (!inQuery.ok) return invalid(inQuery.error);
  if (query.has("ticket")) return invalid('"ticket" opens a WebSocket: send a token in a header');
  const since = query.get("since") ?? "earliest";
  const parsed = parseSince(since);
  if (!parsed.ok) return invalid(parsed.error);
  const limit = readNumber(query, "limit", [1, MAX_PAGE_MESSAGES], DEFAULT_PAGE_MESSAGES);
  if (!limit.ok) return limit;
  const waitSeconds = readNumber(query, "wait", [0, MAX_WAIT_SECONDS], 0);
  if (!waitSeconds.ok) return waitSeconds;
  const authorization = headers.get("Authorization");
  const credential = readSubscriberCredential({ authorization, encoded: [] }, null);
  if (!credential.ok) return credential;
  const handshake: SubscriberHandshake = {
    role: "subscriber",
    address,
    subprotocol: STREAM_PROTOCOL,
    options: { since, gap: "skip", waitSeconds: null },
    credential: credential.value,
  };
  // Nobody gets what HEAD would wait for.
  const waits = method === "HEAD" ? 0 : waitSeconds.value;
  return ok({ handshake, since, limit: limit.value, waitSeconds: waits });
}

function readNumber(
  query: URLSearchParams,
  name: string,
  [least, most]: readonly [number, number],
  byDefault: number,
): Result<number, Problem> {
  const text = query.get(name);
  if (text === null) return ok(byDefault);
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  return value >= least && value <= most
    ? ok(value)
    : invalid(`"${name}" must be a whole number from ${least} to ${most}`);
}

function invalid(detail: string): Result<never, Problem> {
  return err({ slug: "invalid-parameter", detail });
}

async function askTopic(
  env: StubEnv<"TOPIC">,
  address: Address,
  said: SubscriberAdmission,
  limit: number,
): ReturnType<Ask<Result<PageBody, Problem>>> {
  try {
    const answer = await askAgain(async () =>
      topicStub(env, address).page(formatAdmission(said), limit),
    );
    return answer.type === "page" ? { type: "admitted", value: ok(answer) } : answer;
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    return { type: "admitted", value: err(OUTDATED_TOPIC) };
  }
}
