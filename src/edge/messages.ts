/**
 * The route of a topic's messages, `/v1/domains/{Domain}/topics/{Topic}/messages` (PROTOCOL.md, section 17): its
 * methods, who may ask from where, and how answers look. Owns nothing of what the methods do.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Address } from "../core/address.ts";
import type { Problem } from "../core/problem.ts";
import type { Result } from "../core/result.ts";
import { callerOf, type Caller } from "./caller.ts";
import { noteDomain, noteRefusal } from "./note-refusal.ts";
import { getPage, type PageBody } from "./page.ts";
import { post, type Posted } from "./post.ts";
import { problemResponse } from "./problem-response.ts";
import { parseAddressParams } from "./route-address.ts";

const PATH = "/domains/:domain/topics/:topic/messages";
const METHODS = ["GET", "HEAD", "POST"];
const ALLOW: string = [...METHODS, "OPTIONS"].join(", ");
/** Seconds for which a browser may remember what it was allowed; Chromium's most. */
const MAX_AGE_SECONDS = 7200;

// A page that was kept anywhere would outlive a policy, a deletion and a revoked key.
const PAGE_HEADERS = {
  "Content-Type": "application/json",
  "Cache-Control": "no-store",
  Vary: "Accept",
};

/** Handles the route, under /v1. */
export function createMessages(): Hono<{ Bindings: Env }> {
  const messages = new Hono<{ Bindings: Env }>();

  messages.use(PATH, async (c, next) => {
    await next();
    if (c.req.method === "OPTIONS") c.header("Allow", ALLOW);
  });
  // From any page: the credential is in a header, which no page can make another one's browser send.
  messages.use(
    PATH,
    cors({
      origin: "*",
      allowMethods: METHODS,
      allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
      exposeHeaders: ["Retry-After"],
      maxAge: MAX_AGE_SECONDS,
    }),
  );

  messages.get(PATH, async (c) => {
    const { raw: request } = c.req;
    const page = await pageOf(
      parseAddressParams(c),
      request,
      callerOf(request, c.env, c.executionCtx),
    );
    if (page.ok) return new Response(page.value.body, { headers: PAGE_HEADERS });
    noteRefusal(request, c.env, page.error.slug);
    return problemResponse(page.error, { Vary: "Accept" });
  });

  messages.post(PATH, async (c) => {
    const { raw: request } = c.req;
    const posted = await postTo(
      parseAddressParams(c),
      request,
      callerOf(request, c.env, c.executionCtx),
    );
    if (posted.ok) {
      const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
      // A line of its own, as problems are: many read it in a terminal.
      return c.body(`${JSON.stringify(posted.value)}\n`, 200, headers);
    }
    noteRefusal(request, c.env, posted.error.slug);
    return problemResponse(posted.error);
  });

  messages.all(PATH, (c) => {
    noteRefusal(c.req.raw, c.env, "method-not-allowed");
    const detail = "Read with a GET request, publish with a POST request";
    return problemResponse({ slug: "method-not-allowed", detail }, { Allow: ALLOW });
  });

  return messages;
}

async function pageOf(
  address: Result<Address, Problem>,
  request: Request,
  caller: Caller,
): Promise<Result<PageBody, Problem>> {
  if (!address.ok) return address;
  const page = await getPage(request, address.value, caller);
  if (page.ok) noteDomain(address.value.domain);
  return page;
}

async function postTo(
  address: Result<Address, Problem>,
  request: Request,
  caller: Caller,
): Promise<Result<Posted, Problem>> {
  if (!address.ok) return address;
  const posted = await post(request, address.value, caller);
  if (posted.ok) noteDomain(address.value.domain);
  return posted;
}
