/**
 * `wspubsub pub --id`: one post, which the hub publishes once however often it comes (PROTOCOL.md, 17.4, 17.5).
 * Invariant: where it may have been published and nobody knows, whoever asked is told to ask again.
 */
import * as v from "valibot";
import { UserError } from "../../local/fail.ts";
import { parseJson } from "../input/parse-json.ts";
import { describeFetchFailure } from "../output/describe-fetch-failure.ts";
import { printable, printableJsonLine } from "../output/printable.ts";
import type { Session } from "../session.ts";
import { bearerOf, type Credential } from "./credential.ts";
import type { Batch } from "./outgoing.ts";
import { readProblem } from "./read-problem.ts";
import { describeRefusal } from "./remedy.ts";
import { messagesUrl, type TopicAddress } from "./topic-address.ts";

/** What to publish, and how. */
export interface PublishOnceOptions {
  readonly id: string;
  readonly credential: Credential | null;
  readonly finish: boolean;
}

const TIMEOUT_MS = 30_000;
/** What a publish may have (10.7), and a body (17.12). */
const MOST_MESSAGES = 1000;
const MOST_BYTES = 16_777_216;

const AnswerSchema = v.object({ cursor: v.string(), count: v.number() });

/** Publishes all of it in one; throws a UserError that says whether it may be published. */
export async function publishOnce(
  session: Session,
  address: TopicAddress,
  batches: AsyncIterable<Batch>,
  { id, credential, finish }: PublishOnceOptions,
): Promise<void> {
  const messages = await readAll(batches);
  if (messages.length === 0 && !finish) throw new UserError("There is no message");
  const body = JSON.stringify({
    type: finish ? "finish" : "publish",
    id,
    ...(messages.length > 0 && { messages }),
  });
  let status: number;
  let answer: unknown;
  try {
    const response = await fetch(messagesUrl(address), {
      method: "POST",
      headers: { ...bearerOf(credential), "Content-Type": "application/vnd.wspubsub.v1+json" },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    ({ status } = response);
    answer = parseJson(await response.text());
  } catch (cause) {
    // TypeError: no connection, or none that lasted. TimeoutError.
    const reason = describeFetchFailure(cause, TIMEOUT_MS);
    throw new UserError(`No answer of the hub at ${address.hubUrl}: ${reason}. ${AGAIN}`, {
      cause,
    });
  }
  const receipt = v.safeParse(AnswerSchema, answer);
  if (status !== 200 || !receipt.success) throw describe(status, answer, address);
  if (session.isJson) await session.write(`${printableJsonLine(receipt.output)}\n`);
}

const AGAIN = "It may be published, or not: run it again with the same --id";

function describe(status: number, answer: unknown, address: TopicAddress): UserError {
  const problem = readProblem(answer);
  const what =
    problem === null
      ? `${address.hubUrl} answers ${status} and not as a hub does: check HUB_URL`
      : printable(describeRefusal(problem, { ...address, does: "publish" }));
  // What stands before the hub may have lost its answer.
  return new UserError(status === 200 || status >= 500 ? `${what}. ${AGAIN}` : what);
}

async function readAll(batches: AsyncIterable<Batch>): Promise<(string | { base64: string })[]> {
  const messages: (string | { base64: string })[] = [];
  let bytes = 0;
  for await (const batch of batches) {
    for (const message of batch) {
      bytes += message.length;
      messages.push(
        typeof message === "string" ? message : { base64: Buffer.from(message).toString("base64") },
      );
    }
    if (messages.length > MOST_MESSAGES)
      throw new UserError("More than 1,000 messages have no one id");
    if (bytes > MOST_BYTES) throw new UserError("More than 16 MiB have no one id");
  }
  return messages;
}
