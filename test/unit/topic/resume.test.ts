/** From where a subscriber goes on, at the edges of what there is. */
import { describe, expect, test } from "vitest";
import { resume, type Past } from "../../../src/topic/resume.ts";
import { START_MS } from "../support/log-storage.ts";

const EPOCH = "epoch0000000";

function at(offset: number) {
  return { epoch: EPOCH, offset };
}

/** Ten messages, the last of them published at the start; a past that is all there unless it is told otherwise. */
function past({ gone = 0, overBound = -90, tooOld = 0, before = null as number | null }): Past {
  const history = {
    overBound: (head: number) => head - 10 + overBound,
    tooOld: () => tooOld,
    lastBefore: () => before,
  };
  return { head: at(10), headAtMs: START_MS, gone, history };
}

test.each([
  [{}, 0],
  [{ gone: 3 }, 3],
  [{ gone: 3, overBound: 4 }, 4],
  [{ gone: 3, overBound: 4, tooOld: 5 }, 5],
  [{ gone: 6, overBound: 4, tooOld: 5 }, 6],
])("9.4 the earliest: %o", (is, offset) => {
  const resumption = { cursor: at(offset), gapFrom: null };
  expect(resume({ type: "earliest" }, past(is), START_MS)).toEqual(resumption);
});

test.each([
  [2, 8, null],
  [7, 3, null],
  [8, 3, 2],
  [11, 3, 0],
])("9.4 9.6 the last %d: from %d on, a gap from %o", (count, offset, gapFrom) => {
  expect(resume({ type: "last", count }, past({ gone: 3 }), START_MS)).toEqual({
    cursor: at(offset),
    gapFrom: gapFrom === null ? null : at(gapFrom),
  });
});

test.each([
  [at(10), 10, null],
  [at(3), 3, null],
  [at(2), 3, at(2)],
  [at(11), 10, at(10)],
  [{ epoch: "otherepoch00", offset: 5 }, 3, { epoch: "otherepoch00", offset: 5 }],
])("9.4 9.6 a cursor %o: from %d on, a gap from %o", (cursor, offset, gapFrom) => {
  const resumption = { cursor: at(offset), gapFrom };
  expect(resume({ type: "cursor", cursor }, past({ gone: 3 }), START_MS)).toEqual(resumption);
});

describe("9.4 9.6 a duration", () => {
  const since = { type: "duration", ms: 1000 } as const;

  test("begins with the present, where nothing was published in it", () => {
    const is = past({ before: 9 });
    expect(resume(since, is, START_MS + 1000).cursor).toEqual(at(9));
    expect(resume(since, is, START_MS + 1001)).toEqual({ cursor: at(10), gapFrom: null });
  });

  test.each([
    ["nothing is gone", {}, 0, null],
    ["something is gone, and when it was published is not known", { gone: 3 }, 3, 0],
    ["what is gone was published before it", { gone: 3, before: 4 }, 4, null],
    ["some of it is gone", { gone: 3, before: 2 }, 3, 2],
    ["what is gone was too old", { gone: 3, tooOld: 4 }, 4, null],
    ["what is gone was too old, and more was before it", { tooOld: 4, before: 5 }, 5, null],
    ["more is gone than is too old", { gone: 3, tooOld: 2, before: 1 }, 3, 1],
  ])("%s", (_, is, offset, gapFrom) => {
    expect(resume(since, past(is), START_MS)).toEqual({
      cursor: at(offset),
      gapFrom: gapFrom === null ? null : at(gapFrom),
    });
  });
});
