/** The walks of PROTOCOL.md, section 10, frame by frame; and what 10.15 and 10.16 say of ids and versions. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../../support/addresses.ts";
import { open, type Client } from "../../support/client.ts";
import { documentBlock } from "../../support/document-block.ts";
import { StreamPublisher } from "../../support/stream-client.ts";

const { url, sqlEndpoint } = inject("hub");
const POLICY = { history_messages: 100, max_message_bytes: 8 };
const EPOCH = "k3x9q0v7h2ma";

interface Place {
  readonly pub: string;
  readonly sub: string;
  readonly key: string;
}

async function freshPlace(): Promise<Place> {
  const { domain, key } = await freshDomain(POLICY);
  const { sub } = topicUrls(url, { domain, key });
  return { sub, pub: sub.replace("/ws/sub/", "/ws/pub/"), key };
}

function bearer({ key }: Place): Record<string, string> {
  return { Authorization: `Bearer ${key}` };
}

/** One connection as a document has it: who says what, line by line. */
class Walk {
  readonly #place: Place;
  readonly #before: (line: string) => Promise<unknown>;
  #client: Client | null = null;

  /** `before` does what others do meanwhile, before a line. */
  constructor(place: Place, before: (line: string) => Promise<unknown> = () => Promise.resolve()) {
    this.#place = place;
    this.#before = before;
  }

  /** Goes it; resolves with the epoch. */
  async go(block: string, epoch = EPOCH): Promise<string> {
    let own = epoch;
    for (const line of block.trim().split("\n")) {
      await this.#before(line);
      const said = line.slice(2).replaceAll(EPOCH, own);
      if (line.startsWith("> ")) await this.#say(said);
      else own = (await this.#hear(said, own)) ?? own;
    }
    return own;
  }

  async #say(said: string): Promise<void> {
    const [, role, query = ""] = /^GET \/ws\/(pub|sub)\/example\/news(.*)$/.exec(said) ?? [];
    if (role === undefined) {
      this.#here.send(said);
      return;
    }
    const { pub, sub } = this.#place;
    const address = (role === "pub" ? pub : sub) + query;
    this.#client = await open(address, ["wspubsub.v1"], bearer(this.#place));
  }

  /** Expects what a line says; returns the epoch, if a frame names it for the first time. */
  async #hear(said: string, epoch: string): Promise<string | null> {
    const [, code, rest] = /^(\d+) (\S+)$/.exec(said) ?? [];
    if (code === "101") {
      expect(this.#here.socket.protocol).toBe(rest);
      return null;
    }
    const heard = await this.#here.next();
    if (code !== undefined) {
      expect(heard).toEqual({ type: "close", code: Number(code), reason: rest });
      return null;
    }
    if (heard.type !== "text") throw new Error(`Expected ${said}, received ${heard.type}`);
    if (!said.startsWith("{")) {
      expect(heard.text).toBe(said);
      return null;
    }
    const { cursor } = JSON.parse(heard.text) as { cursor?: string };
    const own = cursor?.split("-")[0] ?? epoch;
    expect(withoutTimes(heard.text)).toEqual(withoutTimes(said.replaceAll(EPOCH, own)));
    return own;
  }

  get #here(): Client {
    if (this.#client === null) throw new Error("The walk has not begun");
    return this.#client;
  }
}

/** A frame without what differs from time to time: when it was published, and what is for people. */
function withoutTimes(text: string): unknown {
  return JSON.parse(text, (name, value: unknown) =>
    name === "at" || name === "detail" ? null : value,
  );
}

describe.runIf(sqlEndpoint !== null)("a walk", () => {
  test("of a subscriber that connects, is cut off, and comes back", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place));
    const connect = new Walk(place, async (line) => {
      if (line.includes('"first"')) await publisher.publish(["first"]);
    });
    const epoch = await connect.go(await documentBlock("PROTOCOL.md", "walk connect"));
    await publisher.publish(["second"]);
    await publisher.publish(["third"]);
    const recovery = new Walk(place, (line) => {
      if (line.includes('"end"')) publisher.sendFinish();
      return Promise.resolve();
    });
    await recovery.go(await documentBlock("PROTOCOL.md", "walk recovery"), epoch);
  });

  test("of a publisher that is refused", async () => {
    const place = await freshPlace();
    const first = await StreamPublisher.open(place.pub, bearer(place));
    for (const message of ["1", "2", "3"]) await first.publish([message]);
    first.client.socket.close();
    await first.client.closed();
    await new Walk(place).go(await documentBlock("PROTOCOL.md", "walk refusal"));
  });
});

describe.runIf(sqlEndpoint !== null)("an id", () => {
  test("10.15 is one publish's for good, as far as the hub remembers", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place));
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
