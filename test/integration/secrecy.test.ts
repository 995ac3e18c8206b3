/** SECURITY.md, Keys in URLs: whatever a client does with a key, no log line has it. */
import { neon, neonConfig } from "@neondatabase/serverless";
import { expect, inject, test } from "vitest";
import { topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { startHub } from "../support/hub-process.ts";
import { startPostgres } from "../support/local-postgres.ts";
import { handshake, RawSocket } from "../support/raw-socket.ts";

test.runIf(inject("hub").sqlEndpoint !== null)("no key is ever logged", async () => {
  const postgres = await startPostgres();
  const hub = await startHub({ env: { DATABASE_URL: postgres.url } });
  try {
    const ws = hub.url.replace(/^http/, "ws");
    const key = `secret ${crypto.randomUUID()}`;
    const encodedKey = encodeURIComponent(key);
    neonConfig.fetchEndpoint = postgres.endpoint;
    await neon(postgres.url).query(
      "insert into apikeys (domain, username, apikey, active) values ('quiet', 'x', $1, true)",
      [key],
    );
    const { pub } = topicUrls(ws, { key: encodedKey, domain: "quiet" });

    // Granted, in conflict, closed for its message; foreign, on a bad path, malformed, not an upgrade.
    const publisher = await open(pub);
    await refused(pub);
    publisher.send("x".repeat(2_000_000));
    await publisher.closed();
    await refused(topicUrls(ws, { key: encodedKey, domain: "loud" }).pub);
    await refused(`${ws}/ws/pub/${encodedKey}`);
    await refused(`${pub}/and/more`);
    await refused(`${pub}?takeover=perhaps`);
    await fetch(`${hub.url}/ws/pub/${encodedKey}/quiet/topic`);
    await fetch(`${hub.url}/ws/pub/${encodedKey}/quiet/topic`, { method: "POST", body: key });
    // As a credential beside the path: granted, of another domain, malformed, explained.
    const credential = `base64url.bearer.authorization.wspubsub.${Buffer.from(key).toString("base64url")}`;
    const keyless = `${ws}/ws/pub/quiet/${crypto.randomUUID()}`;
    await open(keyless, ["wspubsub.v1", credential]);
    await refused(`${ws}/ws/pub/loud/topic`, ["wspubsub.v1", credential]);
    await refused(`${ws}/ws/sub/loud/topic`, ["wspubsub.v1", credential]);
    await refused(keyless, ["wspubsub.v1", `${credential}-`]);
    await refused(keyless, [], { Authorization: `Bearer ${key}` });
    await (await open(`${keyless}?explain=1`, ["wspubsub.raw", credential])).closed();
    const raw = await RawSocket.to(ws);
    raw.write(handshake("GET", `/ws/pub/${encodedKey}%/quiet/topic`, new URL(ws).host));
    await raw.head();
    raw.destroy();
    await postgres.stop();
    await refused(pub.replace(encodedKey, `${encodedKey}-unknown`));

    await hub.logged(/key-store-unavailable/);
    for (const form of [key, encodedKey, key.slice(7), Buffer.from(key).toString("base64url")]) {
      expect(hub.output()).not.toContain(form);
    }
  } finally {
    await hub.stop();
    await postgres.stop();
  }
});
