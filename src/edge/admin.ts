/**
 * The routes under /v1 (PROTOCOL.md, section 15): what is live in a domain, what became of a key, and tickets.
 * Owns their paths and who may use each; answers JSON that no cache keeps, or a problem.
 */
import { Hono, type Context } from "hono";
import { cors } from "hono/cors";
import { parseAddress, parseDomain, type Address } from "../core/address.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { requireAdmin, requireDomain } from "./admin-access.ts";
import { callerOf, type Caller } from "./caller.ts";
import { issueTicket } from "./issue-ticket.ts";
import { revokeKey, syncKey } from "./key-changes.ts";
import { problemResponse } from "./problem-response.ts";
import { describeTopic, listTopics } from "./topic-reports.ts";

type AdminContext = Context<{ Bindings: Env }>;
type Answer = Promise<Result<object, Problem>>;

/** Postgres's `serial`. */
const MAX_KEY_ID = 2_147_483_647;

/** Handles everything under /v1. */
export function createAdmin(): Hono<{ Bindings: Env }> {
  const admin = new Hono<{ Bindings: Env }>();

  admin.get("/domains/:domain/topics", (c) =>
    respond(c, 200, async (caller, authorization) => {
      const domain = domainOf(c);
      if (!domain.ok) return domain;
      const allowed = await requireDomain(caller, authorization, domain.value);
      return allowed.ok
        ? listTopics(caller, domain.value, new URL(c.req.url).searchParams)
        : allowed;
    }),
  );

  admin.get("/domains/:domain/topics/:topic", (c) =>
    respond(c, 200, async (caller, authorization) => {
      const address = addressOf(c);
      if (!address.ok) return address;
      const allowed = await requireDomain(caller, authorization, address.value.domain);
      return allowed.ok ? describeTopic(caller, address.value) : allowed;
    }),
  );

  // Browsers get their tickets here, from whatever page they are on: the credential is in a header, which no
  // page can make another one's browser send.
  admin.use("/domains/:domain/topics/:topic/tickets", cors({ origin: "*" }));
  admin.post("/domains/:domain/topics/:topic/tickets", (c) =>
    respond(c, 201, async (caller, authorization) => {
      const address = addressOf(c);
      return address.ok ? issueTicket(caller, authorization, address.value) : address;
    }),
  );

  admin.post("/domains/:domain/keys/:id/sync", (c) => changeKey(c, syncKey));
  admin.delete("/domains/:domain/keys/:id", (c) => changeKey(c, revokeKey));

  return admin;
}

function changeKey(
  c: AdminContext,
  change: (caller: Caller, domain: string, keyId: number) => Answer,
): Promise<Response> {
  return respond(c, 200, async (caller, authorization) => {
    const domain = domainOf(c);
    if (!domain.ok) return domain;
    const id = segment(c, 5);
    if (!/^[1-9]\d{0,9}$/.test(id) || Number(id) > MAX_KEY_ID) {
      return invalidAddress("The key's number is not one");
    }
    const allowed = await requireAdmin(caller, authorization);
    return allowed.ok ? change(caller, domain.value, Number(id)) : allowed;
  });
}

async function respond(
  c: AdminContext,
  status: 200 | 201,
  answer: (caller: Caller, authorization: string | null) => Answer,
): Promise<Response> {
  const caller = callerOf(c.req.raw, c.env, c.executionCtx);
  const result = await answer(caller, c.req.header("Authorization") ?? null);
  if (!result.ok) return problemResponse(result.error);
  return c.json(result.value, status, { "Cache-Control": "no-store" });
}

function domainOf(c: AdminContext): Result<string, Problem> {
  const domain = parseDomain(segment(c, 3));
  return domain.ok ? domain : invalidAddress(domain.error);
}

function addressOf(c: AdminContext): Result<Address, Problem> {
  const address = parseAddress(segment(c, 3), segment(c, 5));
  return address.ok ? ok(address.value) : invalidAddress(address.error);
}

/** A segment of `/v1/domains/…` as it came: the router decodes leniently, addresses are decoded once and strictly. */
function segment(c: AdminContext, index: number): string {
  return new URL(c.req.url).pathname.split("/")[index] ?? "";
}

function invalidAddress(detail: string): Result<never, Problem> {
  return err({ slug: "invalid-address", detail });
}
