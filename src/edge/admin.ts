/**
 * The routes under /v1 (PROTOCOL.md, section 15): what is live in a domain, what an operator changed, and tickets. Owns
 * their paths and the credential that each takes; answers JSON that no cache keeps, or a problem.
 */
import { Hono, type Context } from "hono";
import { cors } from "hono/cors";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { requireAdmin, requireDomain } from "./admin-access.ts";
import { callerOf, type Caller } from "./caller.ts";
import { checkPlace } from "./check-place.ts";
import { reportHealth } from "./health.ts";
import { issueTicket } from "./issue-ticket.ts";
import { revokeKey, syncKey, type ChangedKey } from "./key-changes.ts";
import { noteRefusal } from "./note-refusal.ts";
import { problemResponse } from "./problem-response.ts";
import { rawParam } from "./raw-param.ts";
import { parseAddressParams, parseDomainParam } from "./route-address.ts";
import { syncDomain } from "./sync-domain.ts";
import { endTopic } from "./end-topic.ts";
import { forgetMessages } from "./forget-messages.ts";
import { describeTopic, listSockets, listTopics } from "./topic-reports.ts";

type AdminContext = Context<{ Bindings: Env }>;

/** What is answered where nothing is refused. */
interface Success {
  readonly status: 200 | 201 | 202 | 503;
  readonly body: object;
}

/** Postgres's `serial`. */
const MAX_KEY_ID = 2_147_483_647;

/** Handles everything under /v1. */
export function createAdmin(): Hono<{ Bindings: Env }> {
  const admin = new Hono<{ Bindings: Env }>();

  // Also where the place is set wrong, which is one of the things that it tells.
  admin.get("/health", async (c) => {
    const caller = callerOf(c.req.raw, c.env, c.executionCtx);
    const health = await reportHealth(caller, c.req.header("Authorization") ?? null);
    if (!health.ok) return conclude(c, health);
    return conclude(c, succeed(health.value.status === "ok" ? 200 : 503, health));
  });

  admin.get("/domains/:domain/topics", (c) =>
    respond(c, async (caller, authorization) => {
      const domain = parseDomainParam(c);
      if (!domain.ok) return domain;
      const allowed = await requireDomain(caller, authorization, domain.value);
      if (!allowed.ok) return allowed;
      const { searchParams } = new URL(c.req.url);
      return succeed(200, await listTopics(caller, domain.value, searchParams));
    }),
  );

  admin.get("/domains/:domain/topics/:topic", (c) =>
    respond(c, async (caller, authorization) => {
      const address = parseAddressParams(c);
      if (!address.ok) return address;
      const allowed = await requireDomain(caller, authorization, address.value.domain);
      return allowed.ok ? succeed(200, await describeTopic(caller, address.value)) : allowed;
    }),
  );

  admin.delete("/domains/:domain/topics/:topic", (c) =>
    respond(c, async (caller, authorization) => {
      const address = parseAddressParams(c);
      if (!address.ok) return address;
      const allowed = await requireDomain(caller, authorization, address.value.domain);
      return allowed.ok ? succeed(200, await endTopic(caller, address.value)) : allowed;
    }),
  );

  admin.delete("/domains/:domain/topics/:topic/messages", (c) =>
    respond(c, async (caller, authorization) => {
      const address = parseAddressParams(c);
      if (!address.ok) return address;
      // A history cannot be made again: no key that stands in a page, or leaked, may destroy it.
      const allowed = await requireAdmin(caller, authorization);
      return allowed.ok ? succeed(200, await forgetMessages(caller, address.value)) : allowed;
    }),
  );

  admin.get("/domains/:domain/topics/:topic/sockets", (c) =>
    respond(c, async (caller, authorization) => {
      const address = parseAddressParams(c);
      if (!address.ok) return address;
      // The sockets of a topic are the operator's to know: no key opens this.
      const allowed = await requireAdmin(caller, authorization);
      if (!allowed.ok) return allowed;
      const { searchParams } = new URL(c.req.url);
      return succeed(200, await listSockets(caller, address.value, searchParams));
    }),
  );

  // Browsers get their tickets here, from whatever page they are on: the credential is in a header, which no
  // page can make another one's browser send.
  admin.use("/domains/:domain/topics/:topic/tickets", cors({ origin: "*" }));
  admin.post("/domains/:domain/topics/:topic/tickets", (c) =>
    respond(c, async (caller, authorization) => {
      const address = parseAddressParams(c);
      if (!address.ok) return address;
      const { searchParams } = new URL(c.req.url);
      return succeed(201, await issueTicket(caller, authorization, address.value, searchParams));
    }),
  );

  admin.post("/domains/:domain/sync", (c) =>
    respond(c, async (caller, authorization) => {
      const domain = parseDomainParam(c);
      if (!domain.ok) return domain;
      const allowed = await requireAdmin(caller, authorization);
      return allowed.ok ? succeed(200, await syncDomain(caller, domain.value)) : allowed;
    }),
  );

  admin.post("/domains/:domain/keys/:id/sync", (c) => answerKeyChange(c, syncKey));
  admin.delete("/domains/:domain/keys/:id", (c) => answerKeyChange(c, revokeKey));

  return admin;
}

function answerKeyChange(
  c: AdminContext,
  change: (caller: Caller, domain: string, keyId: number) => Promise<Result<ChangedKey, Problem>>,
): Promise<Response> {
  return respond(c, async (caller, authorization) => {
    const domain = parseDomainParam(c);
    if (!domain.ok) return domain;
    const id = rawParam(c, "id");
    if (!/^[1-9]\d{0,9}$/.test(id) || Number(id) > MAX_KEY_ID) {
      return invalidAddress("The key's number is not one");
    }
    const allowed = await requireAdmin(caller, authorization);
    if (!allowed.ok) return allowed;
    const changed = await change(caller, domain.value, Number(id));
    if (!changed.ok) return changed;
    const { body, isHeld } = changed.value;
    return ok({ status: isHeld ? 202 : 200, body });
  });
}

async function respond(
  c: AdminContext,
  answer: (caller: Caller, authorization: string | null) => Promise<Result<Success, Problem>>,
): Promise<Response> {
  const caller = callerOf(c.req.raw, c.env, c.executionCtx);
  const place = checkPlace(c.env);
  return conclude(
    c,
    place.ok ? await answer(caller, c.req.header("Authorization") ?? null) : place,
  );
}

function conclude(c: AdminContext, result: Result<Success, Problem>): Response {
  if (!result.ok) {
    noteRefusal(c.req.raw, c.env, result.error.slug);
    return problemResponse(result.error);
  }
  const { body, status } = result.value;
  return c.json(body, status, { "Cache-Control": "no-store" });
}

function succeed(
  status: Success["status"],
  result: Result<object, Problem>,
): Result<Success, Problem> {
  return result.ok ? ok({ status, body: result.value }) : result;
}

function invalidAddress(detail: string): Result<never, Problem> {
  return err({ slug: "invalid-address", detail });
}
