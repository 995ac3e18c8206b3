/** Which failures of a call are no more than an object's end, as the runtime itself reports them. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { askAgain, hasEnded } from "../../../src/core/fresh-stub.ts";
import { freshTopic } from "../support/topics.ts";

describe("askAgain", () => {
  test("asks a real object once more that ends itself while it is asked", async () => {
    const { id } = freshTopic();
    const failures: unknown[] = [];
    let isFirst = true;
    const answer = await askAgain(async () => {
      try {
        const stub = env.TOPIC.get(id);
        return await runInDurableObject(stub, async (_, ctx) => {
          if (!isFirst) return "answered";
          isFirst = false;
          ctx.abort("The topic has ended");
          return scheduler.wait(60_000);
        });
      } catch (error) {
        failures.push(error);
        throw error;
      }
    });
    expect(answer).toBe("answered");
    expect(failures.map(hasEnded)).toEqual([true]);
  });

  test("gives the second failure as it is", async () => {
    const ended = Object.assign(new Error("first"), { durableObjectReset: true });
    const ask = vi.fn<() => Promise<never>>().mockRejectedValueOnce(ended);
    ask.mockRejectedValueOnce(new Error("second"));
    await expect(askAgain(ask)).rejects.toThrow("second");
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test.each([
    "Durable Object reset because its code was updated.",
    "The Durable Object's code has been updated, this version can no longer access storage.",
    "Durable Object storage operation exceeded timeout which caused object to be reset.",
    "Internal error in Durable Object storage write caused object to be reset; reference = x",
    "Application called abort() to reset Durable Object.",
    "Durable Object storage is no longer accessible.",
    "Server shutting down.",
    "The object was interrupted by a shutdown",
  ])("knows the platform's words: %s", (words) => {
    expect(hasEnded(new Error(words))).toBe(true);
    expect(hasEnded(Object.assign(new Error(words), { overloaded: true }))).toBe(false);
  });

  test.each([
    new Error("Network connection lost."),
    Object.assign(new Error("lost"), { retryable: true }),
    Object.assign(new Error("no"), { durableObjectReset: false }),
    new TypeError("Cannot read properties of undefined"),
    "reset",
    null,
  ])("takes nothing else for it: %s", (error) => {
    expect(hasEnded(error)).toBe(false);
  });
});
