/**
 * The Worker's router: which handler answers which path, and what happens to everything that was not
 * foreseen. Sets no headers on the way out: a 101 must pass untouched.
 */
import { Hono } from "hono";
import { isPassing } from "../core/fresh-stub.ts";
import { logError } from "../log.ts";
import { createAdmin } from "./admin.ts";
import { describeNowhere } from "./describe-nowhere.ts";
import { answerRefusal } from "./explain.ts";
import { createMessages } from "./messages.ts";
import { noteRefusal } from "./note-refusal.ts";
import { upgrade } from "./upgrade.ts";

/** The hub's HTTP surface. */
export function createApp(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();

  app.all("/ws/*", (c) => upgrade(c.req.raw, c.env, c.executionCtx));

  app.route("/v1", createMessages());
  app.route("/v1", createAdmin());

  app.notFound((c) => {
    noteRefusal(c.req.raw, c.env, "not-found");
    const detail = describeNowhere(new URL(c.req.url).pathname);
    return answerRefusal(c.req.raw, { slug: "not-found", detail });
  });

  app.onError((error, c) => {
    noteRefusal(c.req.raw, c.env, isPassing(error) ? "topic-unavailable" : "internal");
    if (isPassing(error)) {
      logError({ event: "topic-unavailable", error: error.message });
      return answerRefusal(c.req.raw, {
        slug: "topic-unavailable",
        detail: "Try again in a few seconds",
      });
    }
    logError({ event: "internal", error: error.message, stack: error.stack ?? null });
    return answerRefusal(c.req.raw, { slug: "internal", detail: "The failure was logged" });
  });

  return app;
}
