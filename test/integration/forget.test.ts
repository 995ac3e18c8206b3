/** PROTOCOL.md, 15.11, on a real hub: the operator has messages forgotten, and everything else goes on. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open, ownAddress, refused } from "../support/client.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";
import { bearer } from "../support/versions/tenant.ts";

const { url, sqlEndpoint } = inject("hub");
const KEPT = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };

interface Place {
  readonly key: string;
  readonly path: string;
  readonly pub: string;
  readonly sub: string;
}

async function freshPlace(): Promise<Place> {
  const { domain, key } = await freshDomain(KEPT);
  return {
    key,
    path: `${domain}/topics/topic/messages`,
    pub: `${url}/ws/pub/${domain}/topic`,
    sub: `${url}/ws/sub/${domain}/topic`,
  };
}

async function pageOf({ path }: Place, since: string): Promise<unknown> {
  const page = `${url.replace(/^ws/, "http")}/v1/domains/${path}?since=${since}`;
  const response = await fetch(page, { headers: { "CF-Connecting-IP": ownAddress() } });
  return response.json();
}

describe.runIf(sqlEndpoint !== null)("messages that the operator has forgotten", () => {
  test("15.11 are nowhere, and who is there goes on", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    const watcher = await StreamSubscriber.open(place.sub);
    const raw = await open(place.sub);
    const before = await publisher.publish(["one", "two"]);
    expect(await watcher.messages(2)).toEqual(["one", "two"]);
    for (const credential of [null, place.key, "another"]) {
      expect((await admin("DELETE", place.path, credential)).status).toBe(401);
    }
    expect(await pageOf(place, "earliest")).toMatchObject({ messages: ["one", "two"] });
    const { status, headers, body } = await admin("DELETE", place.path);
    expect([status, body["messages"]]).toEqual([200, 2]);
    expect(headers.get("Access-Control-Allow-Origin")).toBeNull();
    const after = await publisher.publish(["three"]);
    expect(await watcher.messages(1)).toEqual(["three"]);
    expect(watcher.cursor).toBe(after);
    expect(await raw.texts(3)).toEqual(["one", "two", "three"]);
    expect(await pageOf(place, before)).toMatchObject({
      gap: { from: before },
      messages: ["three"],
    });
    const late = await StreamSubscriber.open(`${place.sub}?since=${before}`);
    expect(late.opened.recovered).toBe(false);
    expect((await late.gap()).from).toBe(before);
    expect(await late.messages(1)).toEqual(["three"]);
    const strict = await open(`${place.sub}?since=${before}&gap=close`);
    expect(await strict.closed()).toEqual({ code: 4510, reason: "history-gap" });
  });

  test("15.11 of a topic that is over leave nothing to read, and are forgotten once", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    publisher.sendFinish(["one"]);
    await publisher.ack();
    const reader = await StreamSubscriber.open(`${place.sub}?since=earliest`);
    expect(await reader.messages(1)).toEqual(["one"]);
    expect(await reader.end()).toBe("finished");
    for (const messages of [1, 0]) {
      expect((await admin("DELETE", place.path)).body["messages"]).toBe(messages);
    }
    expect((await refused(`${place.sub}?since=earliest`)).status).toBe(404);
    expect((await admin("DELETE", place.path.replace("/topic/", "/made-up/"))).body).toMatchObject({
      topic: "made-up",
      messages: 0,
    });
  });
});
