/** Tokens that last two seconds, for both roles, by a function that makes a new one each time it is asked. */
import { SignJWT } from "jose";
import { expect } from "vitest";
import { noteSecret } from "../secrets.ts";
import { startClient } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for chaos");
const POLICY = { token_secret: SECRET, token_publishers: true, subscribers: "token" };
const LASTS_SECONDS = 2;

/** Lets both roles outlive so many tokens each, and expects each message once and in order. */
export async function expectOutlivesTokens(tokens: number): Promise<void> {
  const place = await freshPlace(POLICY);
  const { control, publisher, subscriber, task } = await startChaos(place);
  const made = { publish: 0, subscribe: 0 };
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const giverOf = (action: keyof typeof made): string =>
    control.gives(action, async () => {
      made[action]++;
      // The first one does not end; nor does the one that is in use at the end.
      if (Math.min(made.publish, made.subscribe) > tokens) resolve();
      return tokenFor(place, action);
    });
  const run = await startClient("node", {
    publish: { ...task.publish, options: { takeover: true }, token: giverOf("publish") },
    subscribe: { ...task.subscribe, token: giverOf("subscribe") },
  });
  const ended = run.ended({ withinSeconds: 90 + tokens * LASTS_SECONDS * 2 });
  await Promise.race([enough, ended]);
  control.say("stop");
  const { published, read } = await ended;
  expect(read).toBe(published);
  for (const proxy of [publisher, subscriber]) {
    // A token a connection, and no connection for nothing.
    expect(proxy.counts.connections).toBeGreaterThan(tokens);
    expect(proxy.counts.connections).toBeLessThan(tokens * 3 + 5);
  }
}

async function tokenFor(
  { domain, topic }: { domain: string; topic: string },
  action: string,
): Promise<string> {
  const token = await new SignJWT({
    authorization_details: [{ type: "wspubsub", actions: [action], topics: [topic] }],
  })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(`wspubsub:${domain}`)
    .setSubject(action)
    .setExpirationTime(Math.floor(Date.now() / 1000) + LASTS_SECONDS)
    .sign(new TextEncoder().encode(SECRET));
  return noteSecret("token", token);
}
