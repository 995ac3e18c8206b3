/**
 * `wspubsub doctor`: the way to a hub from here, a step at a time, each with its cause and its remedy. Invariant: what
 * needs a step that failed is not tried, and nothing that is secret is shown, or sent to any hub but its own.
 */
import { UserError } from "../../local/fail.ts";
import { Hub } from "../hub.ts";
import type { Credential } from "../messages/credential.ts";
import { count } from "../output/count.ts";
import type { Session } from "../session.ts";
import { skipped, fine, wrong, type Check } from "./check.ts";
import { checkCredential } from "./check-credential.ts";
import { checkHealth } from "./check-health.ts";
import { checkDns, checkTcp, checkTls } from "./check-network.ts";
import { checkHandshake, checkTopic } from "./check-sockets.ts";
import { tryHandshake } from "./handshake.ts";

/** What to look at. */
export interface Patient {
  readonly hubUrl: string;
  readonly domain: string | null;
  readonly topic: string | null;
  readonly credential: Credential | null;
}

/** Reports, a line for each step as it is done; throws a UserError if anything is wrong. */
export async function runDoctor(session: Session, patient: Patient): Promise<void> {
  const checks: Check[] = [];
  for await (const check of examine(session, patient)) {
    checks.push(check);
    if (!session.isJson) session.print(null, describe(check));
  }
  const faults = checks.filter(({ status }) => status === "wrong").length;
  if (session.isJson) session.print({ url: patient.hubUrl, ok: faults === 0, checks }, "");
  if (faults > 0) throw new UserError(`${count(faults, "fault")} found`);
}

async function* examine(session: Session, patient: Patient): AsyncGenerator<Check, void> {
  const { hubUrl, credential } = patient;
  const url = new URL(hubUrl);
  const steps = [checkDns, checkTcp, ...(url.protocol === "https:" ? [checkTls] : [])];
  for (const step of steps) {
    const check = await step(url);
    yield check;
    if (check.status === "wrong") return;
  }
  const adminToken = session.findAdminToken(hubUrl);
  const health = await checkHealth(hubUrl, adminToken);
  yield* health;
  if (health.length === 1) return;
  const isAdmin = adminToken !== null && !health.some(({ name }) => name === "admin");
  yield* examineSockets(patient, isAdmin ? adminToken : null);
  // Another hub has other keys.
  const store = session.isSetHub(hubUrl) ? session.findStore() : null;
  if (credential !== null) yield* await checkCredential(credential, { ...patient, store });
  else yield skipped("key", "none is set", "set WSPUBSUB_KEY or WSPUBSUB_TOKEN to try one");
}

async function* examineSockets(
  { hubUrl, domain, topic, credential }: Patient,
  adminToken: string | null,
): AsyncGenerator<Check, void> {
  const address = { hubUrl, domain: domain ?? "doctor", topic: topic ?? crypto.randomUUID() };
  const handshake = await tryHandshake(address);
  const check = checkHandshake(handshake);
  yield check;
  if (domain === null || topic === null) {
    yield skipped("topic", "none is named", "give --domain and --topic");
    return;
  }
  const key = credential?.type === "key" ? credential.value : null;
  const token = adminToken ?? key;
  const shown =
    token === null
      ? null
      : await new Hub({ url: hubUrl, adminToken: token }).showTopic(domain, topic);
  // A key that opens nothing is told of elsewhere.
  if (shown?.ok !== true) return yield checkTopic(handshake, address);
  const { phase, publishers, subscribers } = shown.value;
  const detail = `${phase}, ${count(publishers, "publisher")}, ${count(subscribers, "subscriber")}`;
  // In a shared domain subscribers may wait.
  const isNotLive = handshake.type === "refused" && handshake.problem.slug === "topic-not-live";
  if (phase === "vacant" && isNotLive) {
    yield wrong("topic", `topic-not-live: ${detail}`, "start it with wspubsub pub, or wait for it");
  } else {
    const conflict =
      publishers > 0 ? "; in an exclusive domain another meets publisher-conflict" : "";
    yield fine("topic", `${detail}${conflict}`);
  }
}

function describe({ name, status, detail, remedy }: Check): string[] {
  const line = `${status.padEnd(7)}  ${name.padEnd(9)}  ${detail}`;
  return remedy === null ? [line] : [line, `${" ".repeat(20)}${remedy}`];
}
