/**
 * PROTOCOL.md, sections 1, 4 and 12 to 15, against the real hub over TCP, since libraries would not send this:
 * whatever comes, every request is answered, none with 500, nobody is let in, and the hub goes on.
 */
import fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshKey, topicUrls } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { open, ownAddress } from "../support/client.ts";
import {
  FORGED_HEADERS,
  HANDSHAKE,
  handshakesTo,
  headersWith,
  nearlyRight,
  otherHeaders,
  plainRequestsTo,
  segments,
  type HostileRequest,
} from "../support/hostile-requests.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";
import { noteSecret } from "../support/secrets.ts";

const { url, sqlEndpoint, adminToken } = inject("hub");

/** A request that is not answered fails, and is told, before the test's own time is over. */
const LIMITS = { timeout: 5000, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: true };

/** What a request came to. */
type Outcome =
  | { readonly type: "admitted" }
  /** Answered 101, and closed at once (4.6). */
  | { readonly type: "explained"; readonly code: number }
  | { readonly type: "answered"; readonly status: number; readonly mediaType: string };

/** Sends a request and looks at what becomes of it. */
async function outcomeOf({ method, path, headers }: HostileRequest): Promise<Outcome> {
  const own = [`Host: ${new URL(url).host}`, `CF-Connecting-IP: ${ownAddress()}`];
  const text = [`${method} ${path} HTTP/1.1`, ...own, ...headers, "\r\n"].join("\r\n");
  const raw = await RawSocket.to(url);
  try {
    raw.write(Buffer.from(text, "latin1"));
    const head = await raw.head();
    const status = Number(head.split(" ")[1]);
    if (status !== 101) {
      const [, mediaType = "none"] = /^content-type: *([^\r;]+)/im.exec(head) ?? [];
      return { type: "answered", status, mediaType };
    }
    // Who is in gets an answer to its heartbeat.
    raw.send(OPCODE.text, "wspubsub:ping");
    const first = await raw.next();
    // A stream is told the problem before its close (4.7).
    const isTold = first.opcode === OPCODE.text && String(first.payload).includes('"type":"error"');
    const { opcode, payload } = isTold ? await raw.next() : first;
    if (opcode !== OPCODE.close) return { type: "admitted" };
    return { type: "explained", code: payload.readUInt16BE(0) };
  } finally {
    raw.destroy();
  }
}

/**
 * Whether a request was refused as it should be. What workerd, or the proxy of `wrangler dev`, refuses by itself
 * never gets to the hub, and is plain text: what is not HTTP or no URL, unknown methods, an upgrade without a
 * key or with another version. Not sent is what both fail over in the hub's stead: CONNECT, `OPTIONS *`, a Host
 * that is none, a body that is not what its headers say.
 */
function isRefusal(outcome: Outcome, { method, path }: HostileRequest): boolean {
  switch (outcome.type) {
    case "admitted":
      return false;
    case "explained":
      return outcome.code > 4400 && outcome.code < 4600;
    case "answered": {
      const { status, mediaType } = outcome;
      // A preflight, which opens nothing, of the route that pages of other origins may ask.
      if (status === 204) return method === "OPTIONS" && path.includes("/tickets");
      if (mediaType === "text/plain") return [400, 414, 426, 431, 501].includes(status);
      return mediaType === "application/problem+json" && status >= 400 && status !== 500;
    }
  }
}

async function expectRefusal(request: HostileRequest): Promise<void> {
  const outcome = await outcomeOf(request);
  expect({ outcome, isRefusal: isRefusal(outcome, request) }).toMatchObject({ isRefusal: true });
}

/** A private topic that is live, and credentials that open nothing of it. */
async function privateTopic() {
  const secret = noteSecret("signing secret", crypto.randomUUID());
  const { domain } = await freshDomain({ subscribers: "token", token_secret: secret });
  const { key, id } = await freshKey(domain);
  const { pub, sub } = topicUrls(url, { key, domain });
  const topic = sub.split("/").at(-1) ?? "";
  const byKey = { Authorization: `Bearer ${key}` };
  const [publisher, reader] = [await open(pub), await open(sub, [], byKey)];
  const token = (topics: string[], seconds: number, signedWith = secret): Promise<string> =>
    new SignJWT({ authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics }] })
      .setProtectedHeader({ alg: "HS256" })
      .setAudience(`wspubsub:${domain}`)
      .setSubject("user")
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(new TextEncoder().encode(signedWith));
  const good = noteSecret("token", await token([topic], 600));
  const useless = fc.oneof(
    nearlyRight([key, good, adminToken ?? ""]),
    fc.constantFrom(
      (await freshDomain()).key,
      noteSecret("token", await token(["another"], 600)),
      await token([topic], -1),
      await token([topic], 600, crypto.randomUUID()),
      `eyJhbGciOiJub25lIn0.${good.split(".")[1]}.`,
      `eyJ${"A".repeat(9000)}.e30.AA`,
      "k".repeat(20_000),
    ),
  );
  /** Nothing of it all had any effect, and who has a key comes in. */
  async function expectUntouched(): Promise<void> {
    await open(sub, [], byKey);
    const { body } = await admin("GET", `${domain}/topics/${topic}`);
    expect(body).toMatchObject({ phase: "live", publishers: 1 });
    publisher.send("as ever");
    expect(await reader.texts(1)).toEqual(["as ever"]);
  }
  return { domain, topic, id, useless, expectUntouched };
}

describe.runIf(sqlEndpoint !== null && adminToken !== null)("hostile requests over TCP", () => {
  test("are all answered, none with 500, and let nobody in", async () => {
    const { domain, topic, useless, expectUntouched } = await privateTopic();
    const place = fc.constantFrom(
      (part: string) => `/ws/pub/${part}/${domain}/${topic}`,
      (part: string) => `/ws/pub/${domain}/${part}`,
      () => `/ws/sub/${domain}/${topic}`,
      (part: string) => `/ws/sub/${part}/${topic}`,
      (part: string) => `/ws/${part}/${domain}/${topic}`,
      (part: string) => `/v1/domains/${part}/topics`,
      (part: string) => `/v1/domains/${domain}/topics/${part}`,
      (part: string) => `/v1/domains/${domain}/topics/${part}/tickets`,
      (part: string) => `/v1/domains/${part}/keys/1`,
      (part: string) => `/v1/domains/${domain}/keys/${part}/sync`,
      (part: string) => `/${part}`,
    );
    const paths = fc.tuple(place, segments).map(([pathOf, part]) => pathOf(part));
    const headers = fc.oneof(headersWith(fc.oneof(useless, segments)), otherHeaders);
    const requests = fc.oneof(handshakesTo(paths, headers), plainRequestsTo(paths, headers));
    await fc.assert(fc.asyncProperty(requests, expectRefusal), { ...LIMITS, numRuns: 500 });
    await expectUntouched();
  });

  test("12.2 13.3 15.1 with credentials that are nearly right open nothing", async () => {
    const { domain, topic, id, useless, expectUntouched } = await privateTopic();
    const header = fc.oneof(
      { weight: 4, arbitrary: headersWith(useless) },
      fc.constantFrom(...FORGED_HEADERS),
    );
    const upgrade = fc.constantFrom(
      () => `/ws/sub/${domain}/${topic}`,
      () => `/ws/pub/${domain}/${topic}?takeover=1`,
      (text: string) => `/ws/pub/${encodeURIComponent(text)}/${domain}/${topic}?takeover=1`,
      (text: string) => `/ws/sub/${domain}/${topic}?ticket=${encodeURIComponent(text)}`,
    );
    const route = fc.constantFrom(
      { method: "GET", path: `/v1/domains/${domain}/topics` },
      { method: "GET", path: `/v1/domains/${domain}/topics/${topic}` },
      { method: "POST", path: `/v1/domains/${domain}/topics/${topic}/tickets` },
      { method: "POST", path: `/v1/domains/${domain}/keys/${id}/sync` },
      { method: "DELETE", path: `/v1/domains/${domain}/keys/${id}` },
    );
    const requests = fc.oneof(
      fc.record({
        method: fc.constant("GET"),
        path: fc.tuple(upgrade, useless).map(([pathOf, text]) => pathOf(text)),
        headers: fc
          .oneof({ weight: 3, arbitrary: header }, fc.constant("Accept: */*"))
          .map((other) => [...HANDSHAKE, other]),
      }),
      fc.tuple(route, header).map(([target, other]) => ({ ...target, headers: [other] })),
    );
    await fc.assert(fc.asyncProperty(requests, expectRefusal), { ...LIMITS, numRuns: 800 });
    await expectUntouched();
  });

  test("are answered where anybody may come in, too, and disturb nobody there", async () => {
    const { pub, sub } = topicUrls(url, await freshDomain({ history_messages: 10 }));
    const publisher = await open(pub);
    const reader = await open(sub);
    const paths = fc.constant(new URL(sub).pathname);
    await fc.assert(
      fc.asyncProperty(handshakesTo(paths, otherHeaders), async (request) => {
        const outcome = await outcomeOf(request);
        const isFine = outcome.type === "admitted" || isRefusal(outcome, request);
        expect({ outcome, isFine }).toMatchObject({ isFine: true });
      }),
      { ...LIMITS, numRuns: 200 },
    );
    publisher.send("as ever");
    expect(await reader.texts(1)).toEqual(["as ever"]);
  });

  test("4.4 headers that look like the hub's own decide nothing", async () => {
    const { pub, sub } = topicUrls(url, await freshDomain());
    for (const forged of FORGED_HEADERS) {
      const headers = [...HANDSHAKE, forged];
      const request = { method: "GET", path: new URL(sub).pathname, headers };
      expect(await outcomeOf(request)).toMatchObject({ status: 404 });
    }
    await open(pub);
    const headers = [...HANDSHAKE, ...FORGED_HEADERS];
    const request = { method: "GET", path: new URL(sub).pathname, headers };
    expect(await outcomeOf(request)).toEqual({ type: "admitted" });
  });

  test("a request that is far too long, or never ends, costs nobody else anything", async () => {
    const unfinished = await RawSocket.to(url);
    unfinished.write("GET /ws/sub/");
    await expectRefusal({ method: "GET", path: `/${"x".repeat(100_000)}`, headers: [] });
    await (await open(topicUrls(url, await freshDomain()).pub)).close();
    unfinished.destroy();
  });
});
