/** What an audience makes of what its subscribers acknowledge: in a replay, and as their topic ends. */
import { afterEach, expect, test, vi } from "vitest";
import { formatSubscriberAck } from "../../../src/core/client-frame.ts";
import { formatCursor, type Cursor } from "../../../src/core/cursor.ts";
import { formatEnd } from "../../../src/core/hub-frame.ts";
import { Audience } from "../../../src/delivery/audience.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { Ending } from "../../../src/delivery/ending.ts";
import type { LogView, ReplayedLog } from "../../../src/delivery/log-view.ts";
import { heldSocket, type HeldSocket } from "../support/held-socket.ts";
import { countWaits } from "../support/looks.ts";

afterEach(() => vi.restoreAllMocks());

/** Messages of which a reader that acknowledges is given six without an ack. */
const COUNT = 20;
const EPOCH = "endingepoch1";

function cursorAt(offset: number): Cursor {
  return { epoch: EPOCH, offset };
}

function read(offset: number): Batch | null {
  if (offset >= COUNT) return null;
  const place = { epoch: EPOCH, first: offset + 1, last: offset + 1, atMs: 0 };
  return Batch.ofMessages(place, ["x".repeat(100_000)]);
}

interface Attended extends HeldSocket {
  readonly audience: Audience;
  /** The log as it was. */
  readonly past: ReplayedLog;
  /** Another epoch begins. */
  readonly beginAnew: () => void;
  /** Why somebody was closed. */
  readonly closed: readonly string[];
  /** Resolves when nobody is replayed to any more. */
  readonly idle: Promise<void>;
  /** The reader says that it has all up to there. */
  readonly acknowledge: (offset: number) => void;
}

/** An audience of one reader, which is given everything from the beginning and acknowledges. */
function attend(): Attended {
  const past = { head: cursorAt(COUNT), gone: 0, read, keepBehind: () => {} };
  const log: LogView = { ...past, resume: () => ({ cursor: cursorAt(0), gapFrom: null }) };
  const { promise: idle, resolve: onIdle, reject: onFailure } = Promise.withResolvers<void>();
  const closed: string[] = [];
  const audience = new Audience(log, {
    maxBacklogBytes: () => Infinity,
    close: (socket, { reason }) => {
      closed.push(reason);
      audience.remove(socket);
    },
    onUnreadable: () => {},
    onIdle,
    onFailure,
  });
  const held = heldSocket();
  const { socket } = held;
  const kept = { socket, protocol: "stream", closesOnGap: false, rememberPlace: () => {} } as const;
  audience.accept(kept, { type: "earliest" });
  const acknowledge = (offset: number): void =>
    audience.hear(socket, formatSubscriberAck(formatCursor(cursorAt(offset))));
  acknowledge(0);
  const beginAnew = (): void =>
    void Object.assign(log, { head: { epoch: "followsafter", offset: 0 } });
  return Object.assign(held, { audience, past, beginAnew, closed, idle, acknowledge });
}

test("15.8 who is replayed to is where it says that it is", async () => {
  const { audience, socket, acknowledge, idle } = attend();
  const placesOf = (): (number | null)[] => [...audience.places()].map(([, offset]) => offset);
  // It was given one or more.
  expect(placesOf()).toEqual([0]);
  acknowledge(1);
  expect(placesOf()).toEqual([1]);
  audience.remove(socket);
  await idle;
});

test("5.9 11.3 who is leaving acknowledges in the epoch of its own life, and is given all", async () => {
  const attended = attend();
  const { audience, past, sent, acknowledge } = attended;
  // It reads at once, and acknowledges what it was given before.
  countWaits(() => {
    attended.read();
    acknowledge(sent.length - 1);
  });
  const ended = audience.end(past, "abandoned");
  attended.beginAnew();
  await ended;
  expect(attended.closed).toEqual(["topic-ended"]);
  // What it opened with comes first.
  expect(sent).toHaveLength(1 + COUNT + 1);
  expect(sent.at(-1)).toBe(formatEnd("abandoned"));
  // Nobody is looked for among them any more.
  const looks = vi.spyOn(Ending.prototype, "get");
  acknowledge(COUNT);
  expect(looks).not.toHaveBeenCalled();
});
