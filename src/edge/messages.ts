/**
 * The route of a topic's messages, `/v1/domains/{Domain}/topics/{Topic}/messages` (PROTOCOL.md, section 17): its
 * methods, the origins that may ask, and how answers look. Owns nothing of what the methods do. DELETE, which no page
 * of elsewhere may ask for, is the admin's (admin.ts).
 */
import { Hono, type Context } from "hono";
import type { Address } from "../core/address.ts";
import type { Problem } from "../core/problem.ts";
import type { Result } from "../core/result.ts";
import { callerOf, posterOf, type Caller } from "./caller.ts";
import { describeFailure } from "./describe-failure.ts";
import { noteDomain, noteRefusal } from "./note-refusal.ts";
import { getPage, type PageBody } from "./page.ts";
import { post, type Posted } from "./post.ts";
import { problemResponse } from "./problem-response.ts";
import { parseAddressParams } from "./route-address.ts";

type MessagesContext = Context<{ Bindings: Env }>;

const PATH = "/domains/:domain/topics/:topic/messages";
const METHODS = "GET, HEAD, POST";
const ALLOW: Readonly<Record<string, string>> = { Allow: `${METHODS}, DELETE, OPTIONS` };

/**
 * From any page: the credential is in a header, which no page can make another one's browser send. Written here and not
 * by a middleware, which makes each answer twice.
 */
const FROM_ANYWHERE: Readonly<Record<string, string>> = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "Retry-After",
};
const PREFLIGHT: Readonly<Record<string, string>> = {
  ...FROM_ANYWHERE,
  ...ALLOW,
  "Access-Control-Allow-Methods": METHODS,
  "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
  // Seconds; Chromium's most.
  "Access-Control-Max-Age": "7200",
};
// A page that was kept anywhere would outlive a policy, a deletion and a revoked key.
const SUCCESS: Readonly<Record<string, string>> = {
  ...FROM_ANYWHERE,
  "Content-Type": "application/json",
  "Cache-Control": "no-store",
};
/** Made once: an answer copies them faster than it reads them. */
const POSTED: { readonly headers: Headers } = { headers: new Headers(SUCCESS) };

const OF_A_KIND: Readonly<Record<string, string>> = { Vary: "Accept" };

const WRONG_METHOD: Problem = {
  slug: "method-not-allowed",
  detail: "Read with a GET request, publish with a POST request",
};

/** Handles the route, under /v1. */
export function createMessages(): Hono<{ Bindings: Env }> {
  const messages = new Hono<{ Bindings: Env }>();
  // One handler: of several the router makes a chain, for each request anew.
  messages.all(PATH, (c) => {
    switch (c.req.method) {
      case "GET":
      case "HEAD":
        return orFailure(c, answerPage(c), OF_A_KIND);
      case "POST":
        return orFailure(c, answerPost(c));
      case "OPTIONS":
        return new Response(null, { status: 204, headers: PREFLIGHT });
      default:
        return refuse(c, WRONG_METHOD, ALLOW);
    }
  });
  return messages;
}

/** What the router's handler of errors does, but so that a page can read it. */
async function orFailure(
  c: MessagesContext,
  answer: Promise<Response>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  try {
    return await answer;
  } catch (error) {
    // What nobody has foreseen, and what is neither of the hub's doing nor of the client's.
    if (!(error instanceof Error)) throw error;
    return refuse(c, describeFailure(error), headers);
  }
}

async function answerPage(c: MessagesContext): Promise<Response> {
  const { raw: request } = c.req;
  const caller = callerOf(request, c.env, c.executionCtx);
  const page = await pageOf(parseAddressParams(c), request, caller);
  if (!page.ok) return refuse(c, page.error, OF_A_KIND);
  return new Response(page.value.body, { headers: { ...SUCCESS, ...OF_A_KIND } });
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

async function answerPost(c: MessagesContext): Promise<Response> {
  const { raw: request } = c.req;
  const caller = posterOf(request, c.env, c.executionCtx);
  const posted = await postTo(parseAddressParams(c), request, caller);
  if (!posted.ok) return refuse(c, posted.error);
  // A line of its own, as problems are: many read it in a terminal.
  return new Response(`${JSON.stringify(posted.value)}\n`, POSTED);
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

function refuse(
  c: MessagesContext,
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  noteRefusal(c.req.raw, c.env, problem.slug);
  return problemResponse(problem, { ...FROM_ANYWHERE, ...headers });
}
