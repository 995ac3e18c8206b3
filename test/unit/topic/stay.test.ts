/** PROTOCOL.md, 17.8: how long who has posted counts as a publisher, in steps of a timer that a test turns. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Stay } from "../../../src/topic/stay.ts";

const STEP_MS = 1500;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout"] }));
afterEach(() => void vi.useRealTimers());

test("it begins with a post and is over a step later", () => {
  const onOver = vi.fn<() => void>();
  const stay = new Stay(onOver);
  expect(stay.isOn).toBe(false);
  stay.prolong();
  vi.advanceTimersByTime(STEP_MS - 1);
  expect({ isOn: stay.isOn, over: onOver.mock.calls.length }).toEqual({ isOn: true, over: 0 });
  vi.advanceTimersByTime(1);
  expect({ isOn: stay.isOn, over: onOver.mock.calls.length }).toEqual({ isOn: false, over: 1 });
  vi.advanceTimersByTime(10 * STEP_MS);
  expect(onOver).toHaveBeenCalledTimes(1);
});

test("each post lets it go on for a step at least, and for two at most", () => {
  const onOver = vi.fn<() => void>();
  const stay = new Stay(onOver);
  for (let n = 0; n < 20; n++) {
    stay.prolong();
    vi.advanceTimersByTime(STEP_MS - 1);
    expect(stay.isOn).toBe(true);
  }
  expect(onOver).not.toHaveBeenCalled();
  vi.advanceTimersByTime(STEP_MS + 1);
  expect({ isOn: stay.isOn, over: onOver.mock.calls.length }).toEqual({ isOn: false, over: 1 });
});

test("another one begins like the first", () => {
  const onOver = vi.fn<() => void>();
  const stay = new Stay(onOver);
  for (let n = 1; n <= 3; n++) {
    stay.prolong();
    stay.prolong();
    vi.advanceTimersByTime(2 * STEP_MS);
    expect({ isOn: stay.isOn, over: onOver.mock.calls.length }).toEqual({ isOn: false, over: n });
  }
});
