/** How a call to an object of the version before fails, by the runtime's own words. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { lacksMethod } from "../../../src/core/version-before.ts";

/** A topic, seen as if it had a method that it lacks. */
interface Future extends Rpc.DurableObjectBranded {
  ofTheVersionToCome(): Promise<void>;
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("The call did not fail");
}

test("a method that an object lacks is told from every other failure", async () => {
  const stub = env.TOPIC.getByName(`test/${crypto.randomUUID()}`);
  const future = stub as unknown as DurableObjectStub<Future>;
  expect(lacksMethod(await failureOf(future.ofTheVersionToCome()))).toBe(true);
  expect(lacksMethod(new TypeError("x is not a function"))).toBe(false);
  expect(lacksMethod(new Error("Network connection lost."))).toBe(false);
  expect(lacksMethod("does not implement the method")).toBe(false);
});
