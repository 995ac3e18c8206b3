/**
 * PROTOCOL.md, 17.2 to 17.12: bodies that come in pieces, break off, or are not as long as was said, of any type. What
 * is answered 200 is published whole, whatever is answered else not at all, and nothing fails or hangs.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Posting } from "./support/posting.ts";

const LINES = "application/x-ndjson";
const FRAME = "application/vnd.wspubsub.v1+json";

const text = fc.oneof(
  fc.constantFrom("a\nb\nc\n", '{"a":1}\n{"b":2}', "€\u{1F44B}\n\u{FEFF}\r\n", "\n", "", "\0"),
  fc
    .array(fc.string({ unit: "binary", maxLength: 10 }), { maxLength: 20 })
    .map((lines) => lines.join("\n")),
  fc
    .array(fc.string(), { minLength: 1, maxLength: 5 })
    .map((messages) => JSON.stringify({ type: "publish", id: crypto.randomUUID(), messages })),
);
const bytes = fc.oneof(
  text.map((written) => new TextEncoder().encode(written)),
  fc.uint8Array({ maxLength: 300 }),
);
const hostile = fc.record({
  bytes,
  contentType: fc.oneof(
    fc.constantFrom(LINES, LINES, FRAME, FRAME, "text/plain", "image/png", `${LINES};charset=x`),
    fc.stringMatching(/^[ -~]{0,30}$/),
  ),
  /** Where it is cut into chunks. */
  cuts: fc.array(fc.nat(300), { maxLength: 6 }),
  /** After how many chunks it breaks off, if it does. */
  breaksAfter: fc.option(fc.nat(6)),
  /** By how much the length that it is said to have is wrong; `null`: none is said. */
  lengthFault: fc.option(fc.constantFrom(0, 0, -1, 1, 70_000)),
});

/** A body in chunks, which breaks where it is told to; whether it did. */
function inChunks(
  whole: Uint8Array,
  cuts: readonly number[],
  breaksAfter: number | null,
): { readonly stream: ReadableStream<Uint8Array>; readonly isCut: boolean } {
  const places = [...new Set([0, ...cuts.filter((at) => at < whole.length), whole.length])];
  const sorted = places.toSorted((one, other) => one - other);
  const chunks = sorted.slice(1).map((end, n) => whole.slice(sorted[n], end));
  const isCut = breaksAfter !== null && breaksAfter <= chunks.length;
  let next = 0;
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller: ReadableByteStreamController) {
      const chunk = chunks[next];
      if (isCut && next === breaksAfter) controller.error(new Error("The client has left"));
      else if (chunk !== undefined) controller.enqueue(chunk);
      else {
        controller.close();
        // Whoever waits for bytes is told so by an answer to its request.
        controller.byobRequest?.respond(0);
      }
      next += 1;
    },
  });
  return { stream, isCut };
}

/** How many messages a body has that is in order. */
function countIn(whole: Uint8Array, contentType: string): number {
  const written = new TextDecoder().decode(whole);
  if (contentType === LINES) return written.replace(/\n$/, "").split("\n").length;
  if (contentType === FRAME)
    return (JSON.parse(written) as { messages: unknown[] }).messages.length;
  return 1;
}

test("17.12 whatever comes in whatever pieces is published whole or not at all", async () => {
  const posting = new Posting();
  let offset = 0;
  const seen = { published: 0, refused: 0, cut: 0 };
  await fc.assert(
    fc.asyncProperty(hostile, async ({ bytes: whole, contentType, cuts, ...how }) => {
      const { stream, isCut } = inChunks(whole, cuts, how.breaksAfter);
      const length =
        how.lengthFault === null
          ? {}
          : { "Content-Length": String(Math.max(0, whole.length + how.lengthFault)) };
      const posted = await posting.post({
        body: stream,
        headers: { "Content-Type": contentType, ...length },
      });
      expect(posted.status).toBeOneOf([200, 400, 413, 415]);
      const isPublished = posted.status === 200;
      // Whatever was published besides would have taken a place.
      if (isPublished) offset += countIn(whole, contentType);
      const place = isPublished ? Number(String(posted.body["cursor"]).split("-")[1]) : offset;
      expect({ place, isWhole: !(isPublished && isCut) }).toEqual({ place: offset, isWhole: true });
      if (isPublished) seen.published += 1;
      else seen[isCut ? "cut" : "refused"] += 1;
    }),
    { numRuns: 600 },
  );
  const last = await posting.post();
  expect(String(last.body["cursor"]).split("-")[1]).toBe(String(offset + 1));
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
});
