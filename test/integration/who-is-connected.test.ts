/** PROTOCOL.md, 15.8, on a real hub: the operator sees who is connected, and nobody else does. */
import { describe, expect, inject, test } from "vitest";
import { admin } from "../support/admin.ts";
import { freshDomain, freshKey, topicUrls } from "../support/addresses.ts";
import { open } from "../support/client.ts";
import { StreamSubscriber } from "../support/stream-client.ts";

describe.runIf(inject("hub").sqlEndpoint !== null)("who is connected", () => {
  test("15.8 is told to the operator, by role, key and protocol, and no more than asked for", async () => {
    const { domain } = await freshDomain();
    const { key, id } = await freshKey(domain);
    const { pub, sub } = topicUrls(inject("hub").url, { key, domain });
    const topic = sub.slice(sub.lastIndexOf("/") + 1);
    const source = await open(pub);
    await open(sub);
    await StreamSubscriber.open(sub);
    const path = `${domain}/topics/${topic}/sockets`;
    const { status, body } = await admin("GET", path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ domain, topic, phase: "live", subscribers: 2 });
    expect(body["sockets"]).toHaveLength(3);
    expect(body["sockets"]).toMatchObject([
      { role: "publisher", protocol: "raw", key: id, bytes_waiting: 0 },
      { role: "subscriber", key: null },
      { role: "subscriber", key: null },
    ]);
    expect((await admin("GET", `${path}?limit=1`)).body["sockets"]).toHaveLength(1);

    for (const credential of [key, "wrong", null]) {
      expect((await admin("GET", path, credential)).status).toBe(401);
    }
    await source.close();
  });
});
