/**
 * A post from end to end (PROTOCOL.md, section 17): what its headers say, which client sends it, its body, and what its
 * topic makes of it. Invariants: no body is read of a client that may not publish; each try carries the same id.
 */
import { formatAdmission } from "../core/admission.ts";
import { objectName, type Address } from "../core/address.ts";
import { checkCredentials } from "../core/connect-options.ts";
import { askAgain, isPassing } from "../core/fresh-stub.ts";
import { packMessages, parsePostAnswer, type Post, type PostAnswer } from "../core/post.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { lacksMethod } from "../core/version-before.ts";
import { topicStub, type StubEnv } from "../stubs.ts";
import { readBearer } from "./admin-access.ts";
import { takeTurns, type Ask } from "./admit.ts";
import type { Caller } from "./caller.ts";
import { checkPlace } from "./check-place.ts";
import { readKeyOrToken } from "./credential.ts";
import { describeFailure } from "./describe-failure.ts";
import type { PublisherHandshake } from "./handshake.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { readBodyKind, type BodyKind } from "./media-type.ts";
import { parsePost } from "./parse-post.ts";
import { prepare, type Prepared } from "./prepare-admission.ts";
import { withBody } from "./read-body.ts";
import { countRefusedPost } from "./refused-posts.ts";
import { OUTDATED_TOPIC } from "./topic-reports.ts";

/** What is told of a post that was published. */
export interface Posted {
  readonly cursor: string;
  readonly count: number;
  readonly subscribers: number;
}

/** What headers and URL say. */
interface PostHead {
  readonly handshake: PublisherHandshake;
  readonly kind: BodyKind;
  /** `null`: none is given. */
  readonly id: string | null;
  /** Whether the topic ends behind it. */
  readonly isFinish: boolean;
}

const CONFLICT: Problem = {
  slug: "publisher-conflict",
  detail:
    'A publisher is connected, and this domain takes one at a time: to post beside it, make the domain shared ("wspubsub domains set --publishers shared")',
};
const OTHER_ID: Problem = {
  slug: "invalid-idempotency-key",
  detail: 'Send the "id" of the frame, or no Idempotency-Key',
};

/** Publishes what a request carries. */
export async function post(
  request: Request,
  address: Address,
  caller: Caller,
): Promise<Result<Posted, Problem>> {
  const place = checkPlace(caller.env);
  if (!place.ok) return place;
  const head = readHead(request, address);
  if (!head.ok) return head;
  const { handshake } = head.value;
  return countRefusedPost(handshake.credential, caller, async () => {
    const prepared = await prepare(handshake, caller);
    if (!prepared.ok) return prepared;
    return withBody(request, (bytes) => publish(bytes, head.value, caller, prepared.value));
  });
}

function readHead({ url, headers }: Request, address: Address): Result<PostHead, Problem> {
  // Nearly no post has a query.
  const finish = url.includes("?") ? readQuery(new URL(url).searchParams) : ok(false);
  if (!finish.ok) return err({ slug: "invalid-parameter", detail: finish.error });
  const text = readBearer(headers.get("Authorization"), "KeyOrToken");
  if (!text.ok) return text;
  const credential = readKeyOrToken(text.value);
  if (!credential.ok) return credential;
  const kind = readBodyKind(headers);
  if (!kind.ok) return kind;
  const id = readIdempotencyKey(headers.get("Idempotency-Key"));
  if (!id.ok) return id;
  const options = { takeover: false, heartbeatSeconds: null };
  const handshake: PublisherHandshake = {
    role: "publisher",
    address,
    subprotocol: null,
    options,
    credential: credential.value,
  };
  return ok({ handshake, kind: kind.value, id: id.value, isFinish: finish.value });
}

/** Whether a query says that nothing follows; the error says what would be right. */
function readQuery(query: URLSearchParams): Result<boolean> {
  const credentials = checkCredentials(query);
  if (!credentials.ok) return credentials;
  const finish = query.get("finish") ?? "0";
  return /^[01]$/.test(finish) ? ok(finish === "1") : err('"finish" must be 0 or 1');
}

async function publish(
  bytes: Uint8Array,
  { handshake, kind, id: key, isFinish: isLast }: PostHead,
  caller: Caller,
  { admission }: Prepared,
): Promise<Result<Posted, Problem>> {
  const body = parsePost(bytes, kind, isLast);
  if (!body.ok) return body;
  const { messages, id = key ?? crypto.randomUUID(), after, isFinish } = body.value;
  if (key !== null && key !== id) return err(OTHER_ID);
  const { address } = handshake;
  const posted = {
    name: objectName(address),
    id,
    messages: packMessages(messages),
    ...(after !== undefined && { after }),
    ...(isFinish && { isFinish }),
  };
  const ask: Ask<Result<Posted, Problem>> = async (said) => {
    const written = { ...posted, admission: formatAdmission(said) };
    const answer = await askTopic(caller.env, address, written);
    switch (answer.type) {
      case "published": {
        const { cursor, count, subscribers } = answer;
        return { type: "admitted", value: ok({ cursor, count, subscribers }) };
      }
      case "unpublished":
        return { type: "admitted", value: err(nameLine(answer.problem, kind)) };
      case "refused":
      case "needs":
        return answer;
    }
  };
  const asked = await takeTurns(handshake, caller, admission, ask);
  if (asked.ok) return asked.value;
  return asked.error.slug === "publisher-conflict" ? err(CONFLICT) : asked;
}

/** A message of a body with a line each is called by its line. */
function nameLine(problem: Problem, kind: BodyKind): Problem {
  if (kind === "frame") return problem;
  const detail = problem.detail.replace(/^"messages\[(\d+)\]"/, (_, index) =>
    kind === "lines" ? `Line ${Number(index) + 1}` : "The body",
  );
  return { ...problem, detail };
}

/** Asks once more where the topic ended meanwhile; the id lets it be published once. */
async function askTopic(
  env: StubEnv<"TOPIC">,
  address: Address,
  written: Post,
): Promise<PostAnswer> {
  try {
    return parsePostAnswer(await askAgain(async () => topicStub(env, address).publish(written)));
  } catch (error) {
    if (lacksMethod(error)) return { type: "unpublished", problem: OUTDATED_TOPIC };
    if (!(error instanceof Error && isPassing(error))) throw error;
    return { type: "unpublished", problem: describeFailure(error) };
  }
}
