/**
 * The Worker's router: which handler answers which path, and what happens to everything that was not
 * foreseen. Sets no headers on the way out: a 101 must pass untouched.
 */
import { Hono } from "hono";
import { createAdmin } from "./admin.ts";
import { createClientFiles } from "./client-files.ts";
import { describeFailure } from "./describe-failure.ts";
import { describeNowhere } from "./describe-nowhere.ts";
import { answerRefusal } from "./explain.ts";
import { createMessages } from "./messages.ts";
import { noteRefusal } from "./note-refusal.ts";
import { upgrade } from "./upgrade.ts";

/** The hub's HTTP surface. */
export function createApp(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();

  app.all("/ws/*", (c) => upgrade(c.req.raw, c.env, c.executionCtx));

  // First, since it has one method of the other's path.
  app.route("/v1", createAdmin());
  app.route("/v1", createMessages());

  app.route("/", createClientFiles());

  app.notFound((c) => {
    noteRefusal(c.req.raw, c.env, "not-found");
    const detail = describeNowhere(new URL(c.req.url).pathname);
    return answerRefusal(c.req.raw, { slug: "not-found", detail });
  });

  app.onError((error, c) => {
    const problem = describeFailure(error);
    noteRefusal(c.req.raw, c.env, problem.slug);
    return answerRefusal(c.req.raw, problem);
  });

  return app;
}
