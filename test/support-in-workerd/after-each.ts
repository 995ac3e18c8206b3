/**
 * Leaves no fault behind after a test, and fails a test with a fault that never struck. Files share an isolate: none
 * leaves the next one its objects, their timers among them, or its clock.
 */
import { reset } from "cloudflare:test";
import { afterAll, afterEach, vi } from "vitest";
import { forgetFaults } from "./faults.ts";

afterEach(() => {
  const unused = forgetFaults();
  if (unused.length > 0) throw new Error(`Faults that never struck: ${unused.join(", ")}`);
});

afterAll(async () => {
  vi.useRealTimers();
  await reset();
});
