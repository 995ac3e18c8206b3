/**
 * The body of an answer that is not there yet: blank lines until it is, which JSON allows. They keep the connection
 * open, and show whether its client is still there: the runtime notices that one has left by what it cannot send.
 */

/** How often. */
const BEAT_MS = 3000;

const encoder = new TextEncoder();

/** A body that is written by and by. */
export interface LateBody {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves when it has ended, or when its client has left; never rejects. */
  readonly written: Promise<void>;
}

/** Writes what `whole` resolves with, and until then that it is awaited; `onLeft`: its client has left. */
export function lateBody(
  whole: Promise<string | ReadableStream<Uint8Array>>,
  onLeft: () => void,
): LateBody {
  const { readable, writable } = new IdentityTransformStream();
  return { body: readable, written: write(whole, writable, onLeft) };
}

async function write(
  whole: Promise<string | ReadableStream<Uint8Array>>,
  writable: WritableStream<Uint8Array>,
  onLeft: () => void,
): Promise<void> {
  const writer = writable.getWriter();
  const beat = setInterval(() => {
    writer.write(encoder.encode("\n")).catch(onLeft);
  }, BEAT_MS);
  try {
    const body = await whole;
    clearInterval(beat);
    if (typeof body === "string") {
      await writer.write(encoder.encode(body));
      await writer.close();
    } else {
      writer.releaseLock();
      await body.pipeTo(writable);
    }
  } catch (error) {
    // Its client has left, or what was awaited failed: it sees an answer that was cut off.
    clearInterval(beat);
    await writable.abort(error).catch(() => {});
  }
}
