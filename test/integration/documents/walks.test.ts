/** The walks of PROTOCOL.md, section 10, frame by frame; and what 10.15 and 10.16 say of ids and versions. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../../support/addresses.ts";
import { open } from "../../support/client.ts";
import { documentBlock } from "../../support/document-block.ts";
import { goWalk, type WalkPlace } from "../../support/document-walk.ts";
import { StreamPublisher } from "../../support/stream-client.ts";

const { url, sqlEndpoint } = inject("hub");
const POLICY = { history_messages: 100, max_message_bytes: 8 };

async function freshPlace(): Promise<WalkPlace> {
  const { domain, key } = await freshDomain(POLICY);
  const { sub } = topicUrls(url, { domain, key });
  return { sub, pub: sub.replace("/ws/sub/", "/ws/pub/"), key };
}

function openPublisher({ pub, key }: WalkPlace): Promise<StreamPublisher> {
  return StreamPublisher.open(pub, { Authorization: `Bearer ${key}` });
}

describe.runIf(sqlEndpoint !== null)("a walk", () => {
  test("of a subscriber that connects, is cut off, and comes back", async () => {
    const place = await freshPlace();
    const publisher = await openPublisher(place);
    const connect = await documentBlock("PROTOCOL.md", "walk connect");
    const connected = await goWalk(connect, place, async (line) => {
      if (line.includes('"first"')) await publisher.publish(["first"]);
    });
    expect(connected.heard).toEqual(connected.written);

    await publisher.publish(["second"]);
    const cursor = await publisher.publish(["third"]);
    const recovery = await documentBlock("PROTOCOL.md", "walk recovery");
    const [epoch = ""] = cursor.split("-");
    const here = recovery.replace(/since=[^-]+/, `since=${epoch}`);
    const recovered = await goWalk(here, place, (line) => {
      if (line.includes('"end"')) publisher.sendFinish();
      return Promise.resolve();
    });
    expect(recovered.heard).toEqual(recovered.written);
  });

  test("of a publisher that is refused", async () => {
    const place = await freshPlace();
    const first = await openPublisher(place);
    for (const message of ["1", "2", "3"]) await first.publish([message]);
    first.client.socket.close();
    await first.client.closed();
    const { heard, written } = await goWalk(
      await documentBlock("PROTOCOL.md", "walk refusal"),
      place,
    );
    expect(heard).toEqual(written);
  });
});

describe.runIf(sqlEndpoint !== null)("an id", () => {
  test("10.15 is one publish's for good, as far as the hub remembers", async () => {
    const publisher = await openPublisher(await freshPlace());
    const cursor = await publisher.publish(["1"], "again");
    expect(await publisher.publish(["1"], "again")).toBe(cursor);
    publisher.send(["2"], "again");
    expect((await publisher.error()).problem.type).toBe("urn:wspubsub:problem:id-reused");
  });
});

test("10.16 of a client that speaks a later version, too, the hub takes the version that it knows", async () => {
  const { pub } = freshTopic();
  const publisher = await open(pub, ["wspubsub.v2", "wspubsub.v1"]);
  expect(publisher.socket.protocol).toBe("wspubsub.v1");
});
