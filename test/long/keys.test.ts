/**
 * PROTOCOL.md, 12.8, with real SQL and in real time, of which it takes half a minute. `npm test` has the same on a clock
 * that is set: test/unit/topic/registration.test.ts.
 */
import { expect, inject, test } from "vitest";
import { freshDomain, freshKey, sql, topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";

const { url, sqlEndpoint } = inject("hub");

test.runIf(sqlEndpoint !== null)(
  "12.8 a key that is switched off by hand is off within a minute of use",
  { timeout: 90_000 },
  async () => {
    const { domain } = await freshDomain();
    const { key, id } = await freshKey(domain);
    const { pub } = topicUrls(url, { key, domain });
    const publisher = await open(pub);
    await sql("update apikeys set active = false where id = $1", [id]);
    const start = performance.now();
    const use = setInterval(() => publisher.send("using it"), 500);
    const closed = await publisher.closed();
    clearInterval(use);
    expect(closed).toEqual({ code: 4501, reason: "key-rejected" });
    // The minute is the promise.
    expect(performance.now() - start).toBeLessThan(60_000);
    expect((await refused(pub)).status).toBe(401);
  },
);
