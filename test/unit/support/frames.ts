/** What frames of the stream are made of, made up. */
import fc from "fast-check";
import type { Message } from "../../../src/core/message.ts";

const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());

/** The bytes of a binary message. */
export const binary: fc.Arbitrary<ArrayBuffer> = fc
  .uint8Array()
  .map((bytes) => new Uint8Array(bytes).buffer);
/** Messages of both kinds, empty ones among them. */
export const messages: fc.Arbitrary<Message[]> = fc.array(fc.oneof(text, binary), {
  minLength: 1,
  maxLength: 20,
});
/** What a publish may be called. */
export const ids: fc.Arbitrary<string> = fc.stringMatching(/^[!-~]{1,64}$/);
/** Cursors as any hub may write them (PROTOCOL.md, 9.1). */
export const cursors: fc.Arbitrary<string> = fc.stringMatching(/^[0-9A-Za-z._~-]{1,64}$/);

/** A cursor as this hub writes it. */
export const cursor = "k3x9q0v7h2ma-43";
