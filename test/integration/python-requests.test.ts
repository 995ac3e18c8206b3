/** PROTOCOL.md, sections 17 and 18, by Python's requests: what most backends that are not Node's would send. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain } from "../support/addresses.ts";
import { needs, requireProgram } from "../support/optional-program.ts";
import { startProgram } from "../support/process.ts";

const { url, sqlEndpoint } = inject("hub");
const KEPT = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };

/** What every script has. */
const PRELUDE = `
import json, os, requests
messages = os.environ["MESSAGES"]
hub = requests.Session()
hub.headers["Authorization"] = "Bearer " + os.environ["KEY"]
def post(data, **headers):
    answer = hub.post(messages, data=data, headers={n.replace("_", "-"): v for n, v in headers.items()}, timeout=30)
    return [answer.status_code, answer.json()]
def tell(what):
    print(json.dumps(what))
`;

/** Runs a script on a fresh topic; resolves with what it tells. */
async function python(policy: Record<string, string | number>, script: string): Promise<unknown[]> {
  const { domain, key } = await freshDomain(policy);
  const topic = `${url.replace(/^ws/, "http")}/v1/domains/${domain}/topics/${crypto.randomUUID()}`;
  const env = { MESSAGES: `${topic}/messages`, KEY: key };
  const program = startProgram(requireProgram("python3-requests"), ["-c", PRELUDE + script], env);
  expect([await program.exited, program.output()]).toEqual([0, expect.anything()]);
  return program
    .output()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe.runIf(sqlEndpoint !== null)("Python's requests", needs("python3-requests"), () => {
  test("17.2 17.3 18.2 posts text, JSON, forms, bytes and a generator, and reads them", async () => {
    const [counts, page] = await python(
      { ...KEPT, publishers: "shared" },
      `
def lines():
    for n in range(500):
        yield b'{"n":%d}\\n' % n
answers = [
    post("Gr\\u00fc\\u00dfe".encode(), Content_Type="text/plain; charset=utf-8"),
    [(r := hub.post(messages, json={"celsius": 21.5})).status_code, r.json()],
    post({"a": "b c"}),
    post(bytes([0, 255, 128]), Content_Type="image/png"),
    post(lines(), Content_Type="application/x-ndjson"),
]
tell([[status, body["count"]] for status, body in answers])
tell(hub.get(messages, params={"limit": 6}).json()["messages"])
`,
    );
    expect(counts).toEqual([
      [200, 1],
      [200, 1],
      [200, 1],
      [200, 1],
      [200, 500],
    ]);
    expect(page).toEqual([
      "Grüße",
      '{"celsius": 21.5}',
      "a=b+c",
      { base64: "AP+A" },
      '{"n":0}',
      '{"n":1}',
    ]);
  });

  test("17.5 sends again what it sent, and is told what is not the same", async () => {
    const [first, again, other] = await python(
      { ...KEPT, publishers: "shared" },
      `
for text in ("a", "a", "b"):
    tell(post(text, Idempotency_Key="one"))
`,
    );
    expect(first).toMatchObject([200, { count: 1 }]);
    expect(again).toEqual(first);
    expect(other).toMatchObject([422, { type: "urn:wspubsub:problem:id-reused" }]);
  });

  test("18.5 18.6 iterates page after page, waits, and stops at the end", async () => {
    const [read, end] = await python(
      KEPT,
      `
import threading
def pages():
    since, end = "earliest", None
    while end is None:
        page = requests.get(messages, params={"since": since, "limit": 7, "wait": 30}, timeout=60).json()
        yield page
        since, end = page["cursor"], page["end"] if not page["more"] else None
post("0")
seen = threading.Event()
def publish():
    for n in range(1, 30):
        post(str(n))
        # In the middle the reader is waited for, so that it waits itself.
        if n == 15: seen.wait(30)
    hub.post(messages, params={"finish": 1})
publisher = threading.Thread(target=publish)
publisher.start()
read = []
for page in pages():
    read += page["messages"]
    if "15" in read: seen.set()
publisher.join()
tell(read)
tell(page["end"])
`,
    );
    expect(read).toEqual(Array.from({ length: 30 }, (_, n) => String(n)));
    expect(end).toBe("finished");
  });
});
