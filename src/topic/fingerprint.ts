/**
 * Fingerprints: by 53 bits, as many as a number holds, it is known whether a publish has the content of another one.
 * Synchronous, since waiting would tear the order of frames, and no secret: a publisher that makes two contents meet
 * harms nobody else. What is stored compares across versions: changing how it is made makes every id that is remembered
 * a reused one.
 */

/**
 * Odd numbers without a pattern, one for each lane of a word: the golden ratio's and one of xxHash's. As integers of
 * 32 bits, since a lane that begins as any other number takes twice the time.
 */
const FIRST_PRIME = 0x9e3779b1 | 0;
const SECOND_PRIME = 0x85ebca77 | 0;
/** Bits of the second half that a number holds beside the 32 of the first. */
const SECOND_MASK = 0x1fffff;
/** Up to so many units a loop over them is faster than the encoder. */
const LOOP_UNITS = 256;
/** Bytes that are hashed at a time. */
const CHUNK_BYTES = 65_536;

const encoder: TextEncoder = new TextEncoder();
/** Of one call at a time. */
const scratch: Uint8Array = new Uint8Array(CHUNK_BYTES);
const scratchWords: Int32Array = new Int32Array(scratch.buffer);

/** What a JSON text, in which there is no zero, is known by. */
export function fingerprintOf(json: string): number {
  return json.length <= LOOP_UNITS ? hashUnits(json) : hashBytes(json);
}

function hashUnits(json: string): number {
  let first = FIRST_PRIME;
  let second = SECOND_PRIME;
  for (let at = 0; at < json.length; at += 2) {
    // Behind the end there is NaN, which counts as 0.
    const word = json.charCodeAt(at) | (json.charCodeAt(at + 1) << 16);
    // The rotation lets a word's high bits, which a product only moves up, reach the low ones.
    first = Math.imul(first ^ word, FIRST_PRIME);
    first = (first << 13) | (first >>> 19);
    second = Math.imul(second ^ word, SECOND_PRIME);
    second = (second << 17) | (second >>> 15);
  }
  return join(first, second);
}

/** The same with words of bytes, which are read several times as fast as units; even and odd ones side by side. */
function hashBytes(json: string): number {
  let first = FIRST_PRIME;
  let second = SECOND_PRIME;
  let third = SECOND_PRIME;
  let fourth = FIRST_PRIME;
  // A module's constant is looked up at each step.
  const words = scratchWords;
  for (let start = 0; start < json.length;) {
    const { read, written } = encoder.encodeInto(start === 0 ? json : json.slice(start), scratch);
    start += read;
    const end = (written + 7) & ~7;
    const count = end >> 2;
    for (let at = written; at < end; at++) scratch[at] = 0;
    for (let at = 0; at < count; at += 2) {
      const even = words[at] ?? 0;
      const odd = words[at + 1] ?? 0;
      first = Math.imul(first ^ even, FIRST_PRIME);
      first = (first << 13) | (first >>> 19);
      second = Math.imul(second ^ even, SECOND_PRIME);
      second = (second << 17) | (second >>> 15);
      third = Math.imul(third ^ odd, FIRST_PRIME);
      third = (third << 13) | (third >>> 19);
      fourth = Math.imul(fourth ^ odd, SECOND_PRIME);
      fourth = (fourth << 17) | (fourth >>> 15);
    }
  }
  return join(first ^ Math.imul(third, FIRST_PRIME), second ^ Math.imul(fourth, SECOND_PRIME));
}

/** 53 bits of 64, of which each depends on all: short texts leave lanes that differ in few bits. */
function join(one: number, other: number): number {
  const first = spread(one ^ Math.imul(other, FIRST_PRIME));
  const second = spread(other ^ Math.imul(first, SECOND_PRIME));
  return (second & SECOND_MASK) * 2 ** 32 + (first >>> 0);
}

/** Lets every bit reach every other one, as MurmurHash3 ends. */
function spread(lane: number): number {
  let bits = lane ^ (lane >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
