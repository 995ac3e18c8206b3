/** Leaves no fault behind after a test, and fails a test with a fault that never struck. */
import { afterEach } from "vitest";
import { forgetFaults } from "./faults.ts";

afterEach(() => {
  const unused = forgetFaults();
  if (unused.length > 0) throw new Error(`Faults that never struck: ${unused.join(", ")}`);
});
