/** What an audience makes of those whose topic has ended, while whoever comes next is of another epoch. */
import { expect, test } from "vitest";
import { formatSubscriberAck } from "../../../src/core/client-frame.ts";
import { formatCursor, type Cursor } from "../../../src/core/cursor.ts";
import { END_FRAME } from "../../../src/core/hub-frame.ts";
import { Audience } from "../../../src/delivery/audience.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import type { LogView } from "../../../src/delivery/log-view.ts";
import { heldSocket } from "../support/held-socket.ts";
import { countWaits } from "../support/looks.ts";

const TOPIC_ENDED = { code: 1000, reason: "topic-ended" };
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

test("5.9 11.3 who is leaving acknowledges in the epoch of its own life, and is given all", async () => {
  const past = {
    head: cursorAt(COUNT),
    gone: 0,
    read,
    keepBehind: () => {},
  };
  const log: LogView = { ...past, resume: () => ({ cursor: cursorAt(0), gapFrom: null }) };
  const closed: string[] = [];
  const audience = new Audience(log, {
    maxBacklogBytes: () => Infinity,
    close: (socket, { reason }) => {
      closed.push(reason);
      audience.remove(socket);
    },
    onUnreadable: () => {},
    onIdle: () => {},
    onFailure: (error) => {
      throw error;
    },
  });
  const held = heldSocket();
  const { socket, sent } = held;
  const acknowledge = (offset: number): void =>
    audience.hear(socket, formatSubscriberAck(formatCursor(cursorAt(offset))));
  // It reads at once, and acknowledges what it was given before.
  countWaits(() => {
    held.read();
    acknowledge(sent.length - 1);
  });
  const kept = { socket, protocol: "stream", closesOnGap: false, rememberPlace: () => {} } as const;
  audience.accept(kept, { type: "earliest" });
  acknowledge(0);
  const ended = audience.end(past, TOPIC_ENDED);
  Object.assign(log, { head: { epoch: "followsafter", offset: 0 } });
  await ended;
  expect(closed).toEqual(["topic-ended"]);
  // What it opened with comes first.
  expect(sent).toHaveLength(1 + COUNT + 1);
  expect(sent.at(-1)).toBe(END_FRAME);
});
