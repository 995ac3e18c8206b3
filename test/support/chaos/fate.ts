/**
 * What becomes of a connection through the chaos proxy, drawn from a seed: the n-th connection of a seed has the same
 * fate in every run.
 *
 * Knows no sockets. After how many bytes it comes is spread over all sizes up to many frames: with small numbers alone a
 * client whose backlog grows would never come through. Few handshakes are cut, since each in a row doubles a backoff.
 */
import { createSeededRandom } from "../../bench/load/seeded-random.ts";

/** What becomes of one connection. */
export type Fate =
  | { readonly kind: "none" }
  | {
      /**
       * `reset` and `end` cut both ends, with RST and with FIN. `ghost` cuts the client's alone: the hub hears nothing.
       */
      readonly kind: "reset" | "end" | "ghost";
      /** Comes after so many bytes of both directions together. */
      readonly afterBytes: number;
      /** How long each chunk is held up. */
      readonly delayMs: number;
    };

/** What a handshake and the first frames take, more or less. */
const HANDSHAKE_BYTES = 900;
const MOST_BYTES = 8192;
const HANDSHAKES_CUT = 0.15;
const MOST_DELAY_MS = 10;

/** Draws a fate for one connection after the other that comes after so many bytes at most. */
export function drawFates(seed: number, mostBytes: number = MOST_BYTES): () => Fate {
  const random = createSeededRandom(seed);
  const oneOf = <Item>(...items: readonly [Item, ...Item[]]): Item =>
    items[Math.floor(random() * items.length)] ?? items[0];
  return () => {
    const isEarly = random() < HANDSHAKES_CUT;
    const [least, most] = isEarly ? [1, HANDSHAKE_BYTES] : [HANDSHAKE_BYTES, mostBytes];
    const afterBytes = Math.round(least * (most / least) ** random());
    const delayMs = oneOf(0, Math.floor(random() * MOST_DELAY_MS));
    const kind = oneOf("reset", "end", "ghost");
    return { kind, afterBytes, delayMs };
  };
}
