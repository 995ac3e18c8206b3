/** PROTOCOL.md, 11.4: how much a subscriber may send. */
import { describe, expect, test } from "vitest";
import { FrameAllowance } from "../../../src/delivery/frame-allowance.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

const NOW = 1_000_000;
const KIB = 1024;

/** Sends frames until one is too many, or so many were sent; returns how many were not. */
function send(allowance: FrameAllowance, count: number, nowMs: number, bytes = 0): number {
  for (let n = 0; n < count; n++) if (!allowance.take(bytes, nowMs)) return n;
  return count;
}

describe("FrameAllowance", () => {
  test("11.4 is 120 frames a minute", () => {
    const allowance = new FrameAllowance();
    expect(send(allowance, 200, NOW)).toBe(120);
    const patient = new FrameAllowance();
    expect(send(patient, 120, NOW)).toBe(120);
    expect(send(patient, 1, NOW + 59_999)).toBe(0);
    expect(send(patient, 200, NOW + 60_000)).toBe(120);
  });

  test("11.4 lets two a second go on for ever", () => {
    const allowance = new FrameAllowance();
    for (let n = 0; n < 2000; n++) expect(allowance.take(0, NOW + n * 500)).toBe(true);
  });

  test("11.4 grows by a frame for each 32 KiB that were sent", () => {
    const allowance = new FrameAllowance();
    for (let n = 0; n < 10; n++) allowance.earn(32 * KIB);
    allowance.earn(31 * KIB);
    expect(send(allowance, 200, NOW)).toBe(130);
    allowance.earn(1 * KIB);
    expect(send(allowance, 2, NOW)).toBe(1);
  });

  test("11.4 what is earned is worth 64 MiB at most", () => {
    const allowance = new FrameAllowance();
    for (let n = 0; n < 10; n++) allowance.earn(32 * KIB * KIB);
    expect(send(allowance, 5000, NOW)).toBe(2048 + 120);
  });

  test("11.4 a large frame counts as several", () => {
    expect(send(new FrameAllowance(), 200, NOW, 64 * KIB)).toBe(60);
    expect(send(new FrameAllowance(), 1, NOW, 32 * KIB * KIB)).toBe(0);
  });

  test("11.4 a clock that is set back closes nobody", async () => {
    const allowance = new FrameAllowance();
    expect(send(allowance, 120, NOW)).toBe(120);
    await expectReached("minute-begun-by-clock", () => {
      for (let n = 0; n < 3; n++) {
        expect(send(allowance, 60, NOW - 3_600_000 + n * 60_000)).toBe(60);
      }
    });
  });
});
