/**
 * Reads the body of a request within bounds: of one, and of all that an isolate holds at a time. What the client says of
 * its length is believed only to refuse it sooner. Knows nothing of what is in it.
 */
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";

/** Bytes of one body: half of what a call to an object takes. */
export const MAX_BODY_BYTES: number = 16 * 1024 * 1024;
/** Bytes of all bodies that are read or handed on, of the 128 MB that an isolate has (platform limits). */
const MAX_HELD_BYTES = 3 * MAX_BODY_BYTES;

const TOO_LARGE: Problem = {
  slug: "body-too-large",
  detail: `Send at most ${MAX_BODY_BYTES} bytes at once`,
};
const BUSY: Problem = {
  slug: "topic-overloaded",
  detail: "Nothing of it was published: send it again",
  retryAfter: 1,
};
const CUT_OFF: Problem = { slug: "invalid-body", detail: "The body ended before its end" };

/** Bodies of no more are read at once, by what the client says of their length: in chunks they cost several times as much. */
const SMALL_BYTES = 65_536;

let heldBytes = 0;

/** Reads a body, and counts it as held until it is used. */
export async function withBody<T>(
  request: Request,
  use: (bytes: Uint8Array) => Promise<Result<T, Problem>>,
): Promise<Result<T, Problem>> {
  const said = Number(request.headers.get("Content-Length") ?? 0);
  if (said > MAX_BODY_BYTES) return err(TOO_LARGE);
  if (said > 0 && said <= SMALL_BYTES) {
    const small = await readSmall(request, said);
    return small === null ? err(CUT_OFF) : use(small);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const taken = await readChunks(request.body, (chunk) => {
      if (length + chunk.byteLength > MAX_BODY_BYTES) return TOO_LARGE;
      if (heldBytes + chunk.byteLength > MAX_HELD_BYTES) return BUSY;
      chunks.push(chunk);
      length += chunk.byteLength;
      heldBytes += chunk.byteLength;
      return null;
    });
    return taken.ok ? await use(join(chunks, length)) : taken;
  } finally {
    heldBytes -= length;
  }
}

/**
 * Reads a body of so many bytes; `null` where it has another length after all, or is cut off. The runtime reads no more
 * than was said: a body in chunks has no `Content-Length` (RFC 9112, section 6.3; workerd 1.20261117 drops it).
 */
async function readSmall(request: Request, length: number): Promise<Uint8Array | null> {
  try {
    const bytes = new Uint8Array(await request.arrayBuffer());
    return bytes.byteLength === length ? bytes : null;
  } catch {
    // The client has left, or what it sent is no HTTP.
    return null;
  }
}

/** Hands chunks over until one is refused; a body that is cut off is no body. */
async function readChunks(
  body: ReadableStream<Uint8Array> | null,
  take: (chunk: Uint8Array) => Problem | null,
): Promise<Result<null, Problem>> {
  if (body === null) return ok(null);
  const reader = body.getReader();
  for (;;) {
    let read: ReadableStreamReadResult<Uint8Array>;
    try {
      read = await reader.read();
    } catch {
      // The client has left, or what it sent is no HTTP.
      return err(CUT_OFF);
    }
    if (read.done) return ok(null);
    const problem = take(read.value);
    if (problem === null) continue;
    // Not awaited: the rest is nobody's, however long it takes to come.
    reader.cancel().catch(() => {});
    return err(problem);
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
