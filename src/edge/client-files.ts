/**
 * The client library as the hub serves it (PROTOCOL.md, 1.9): texts in the Worker's own bundle, so that no storage and
 * no binding is asked. Knows nothing of what is in them. Invariant: what may be kept for good never changes under its
 * path, since that has the content's hash.
 */
import { Hono, type Context } from "hono";
import { code, codeHash, path, types, typesHash } from "../../dist/served/client.json";
import type { Problem } from "../core/problem.ts";
import { noteRefusal } from "./note-refusal.ts";
import { problemResponse } from "./problem-response.ts";

type FileContext = Context<{ Bindings: Env }>;

/** A text, and what is said of it. */
interface ClientFile {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

const TYPES_PATH = "/client.d.ts";

/** Seconds after which a page has a hub's new version. */
const SHORT = "public, max-age=300";
/** A year, the most that caches count (RFC 9111, 1.2.2, leaves it to them). */
const FOR_GOOD = "public, max-age=31536000, immutable";

const WRONG_METHOD: Problem = {
  slug: "method-not-allowed",
  detail: "Get the client library with a GET request",
};

const CODE: ClientFile = describe(code, codeHash, {
  "Content-Type": "text/javascript; charset=utf-8",
  // Deno's way from a module to its types.
  "X-TypeScript-Types": TYPES_PATH,
});
const TYPES: ClientFile = describe(types, typesHash, {
  "Content-Type": "application/typescript; charset=utf-8",
});

/** Handles the files' paths. */
export function createClientFiles(): Hono<{ Bindings: Env }> {
  const files = new Hono<{ Bindings: Env }>();
  files.all("/client.js", (c) => answer(c, CODE, SHORT));
  files.all(TYPES_PATH, (c) => answer(c, TYPES, SHORT));
  files.all(path, (c) => answer(c, CODE, FOR_GOOD));
  return files;
}

function describe(text: string, hash: string, headers: ClientFile["headers"]): ClientFile {
  return {
    text,
    headers: {
      ...headers,
      ETag: `"${hash}"`,
      "X-Content-Type-Options": "nosniff",
      // Any page may import it, also one that isolates itself (COEP).
      "Access-Control-Allow-Origin": "*",
      "Cross-Origin-Resource-Policy": "cross-origin",
    },
  };
}

function answer(c: FileContext, file: ClientFile, cacheControl: string): Response {
  const { method } = c.req;
  if (method !== "GET" && method !== "HEAD") {
    noteRefusal(c.req.raw, c.env, WRONG_METHOD.slug);
    return problemResponse(WRONG_METHOD, { Allow: "GET, HEAD" });
  }
  const headers = { ...file.headers, "Cache-Control": cacheControl };
  if (isKnown(c.req.header("If-None-Match"), file.headers["ETag"])) {
    return new Response(null, { status: 304, headers });
  }
  // Of HEAD the router leaves the text out.
  return new Response(file.text, { headers });
}

/** Compared weakly (RFC 9110, 13.1.2): who compresses a response on its way weakens its ETag. */
function isKnown(condition: string | undefined, etag: string | undefined): boolean {
  if (condition === undefined) return false;
  if (condition.trim() === "*") return true;
  return condition.split(",").some((known) => known.trim().replace(/^W\//, "") === etag);
}
