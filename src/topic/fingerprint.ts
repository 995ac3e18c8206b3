/**
 * Fingerprints: by 53 bits, as many as a number holds, it is known whether a publish has the content of another one.
 * Synchronous, since waiting would tear the order of frames, and no secret: who makes two contents meet harms nobody
 * else. What is stored compares across versions: changing how it is made makes every id that is remembered a reused one.
 */
import type { Message } from "../core/message.ts";

/** Odd numbers without a pattern, one for each lane: the golden ratio's and one of xxHash's. */
const FIRST_PRIME = 0x9e3779b1;
const SECOND_PRIME = 0x85ebca77;
/** Bits of the second lane that a number holds beside the 32 of the first. */
const SECOND_MASK = 0x1fffff;

/** Two independent hashes of 32 bits. */
interface Lanes {
  first: number;
  second: number;
}

/** What messages are known by: kind, length and content of each, and their order. */
export function fingerprintOf(messages: readonly Message[]): number {
  const lanes: Lanes = { first: FIRST_PRIME, second: SECOND_PRIME };
  for (const message of messages) {
    if (typeof message === "string") addText(lanes, message);
    else addBytes(lanes, message);
  }
  // Both are told all: what they begin with alike, few messages of few bytes, would differ in few bits.
  const first = spread(lanes.first ^ Math.imul(lanes.second, FIRST_PRIME));
  const second = spread(lanes.second ^ Math.imul(first, SECOND_PRIME));
  return (second & SECOND_MASK) * 2 ** 32 + (first >>> 0);
}

function addText(lanes: Lanes, text: string): void {
  const { length } = text;
  add(lanes, length * 2);
  let { first, second } = lanes;
  // `add`, by hand: half the time of a publish of small messages would be calls.
  for (let at = 0; at < length; at += 2) {
    // Behind the end there is NaN, which counts as 0.
    const word = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16);
    first = Math.imul(first ^ word, FIRST_PRIME);
    first = (first << 13) | (first >>> 19);
    second = Math.imul(second ^ word, SECOND_PRIME);
    second = (second << 17) | (second >>> 15);
  }
  lanes.first = first;
  lanes.second = second;
}

function addBytes(lanes: Lanes, bytes: ArrayBuffer): void {
  const { byteLength } = bytes;
  add(lanes, byteLength * 2 + 1);
  const words = new Uint32Array(bytes, 0, byteLength >>> 2);
  for (const word of words) add(lanes, word);
  for (const byte of new Uint8Array(bytes, words.byteLength)) add(lanes, byte);
}

/** The rotation lets a word's high bits, which a product only moves up, reach the low ones. */
function add(lanes: Lanes, word: number): void {
  const first = Math.imul(lanes.first ^ word, FIRST_PRIME);
  lanes.first = (first << 13) | (first >>> 19);
  const second = Math.imul(lanes.second ^ word, SECOND_PRIME);
  lanes.second = (second << 17) | (second >>> 15);
}

/** Lets every bit reach every other one, as MurmurHash3 ends. */
function spread(lane: number): number {
  let bits = lane ^ (lane >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
