/**
 * Goes a walk of PROTOCOL.md: one connection, line by line. What begins with ">" is said to the hub. For each line that
 * begins with "<" the hub is heard. Knows nothing of what is to be heard, but how many lines.
 */
import { open, type Client } from "./client.ts";

/** The epoch of the document's cursors. */
const EPOCH = "k3x9q0v7h2ma";

/** Where it goes, in place of the document's topic. */
export interface WalkPlace {
  readonly pub: string;
  readonly sub: string;
  readonly key: string;
}

/** What the document says that is heard, and what was heard: alike, if the document is right. */
export interface Walked {
  readonly written: readonly unknown[];
  readonly heard: readonly unknown[];
}

/** Goes it. `before` is what others do meanwhile, before a line. */
export async function goWalk(
  block: string,
  place: WalkPlace,
  before: (line: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<Walked> {
  const written: unknown[] = [];
  const heard: unknown[] = [];
  let client: Client | null = null;
  let epoch = EPOCH;
  for (const line of block.trim().split("\n")) {
    await before(line);
    const said = line.slice(2);
    const request = /^> GET \/ws\/(pub|sub)\/example\/news(.*)$/.exec(line);
    if (request !== null) {
      const [, role, query = ""] = request;
      const url = (role === "pub" ? place.pub : place.sub) + query;
      const since = /since=([^-]+)-/.exec(query)?.[1];
      if (since !== undefined) epoch = since;
      client = await open(url, ["wspubsub.v1"], { Authorization: `Bearer ${place.key}` });
    } else if (client === null) {
      throw new Error(`The walk does not begin with a request: ${line}`);
    } else if (line.startsWith(">")) {
      client.send(said.replaceAll(EPOCH, epoch));
    } else {
      const text = said.startsWith("101 ") ? `101 ${client.socket.protocol}` : await hear(client);
      epoch = epochIn(text) ?? epoch;
      written.push(essence(said));
      heard.push(essence(text.replaceAll(epoch, EPOCH)));
    }
  }
  return { written, heard };
}

async function hear(client: Client): Promise<string> {
  const item = await client.next();
  if (item.type === "close") return `${item.code} ${item.reason}`;
  return item.type === "text" ? item.text : "a binary message";
}

function epochIn(text: string): string | undefined {
  return /"cursor":"([^"-]+)-/.exec(text)?.[1];
}

/** A line without what differs from time to time: when messages were published, and what is for people. */
function essence(text: string): unknown {
  if (!text.startsWith("{")) return text;
  return JSON.parse(text, (name, value: unknown) =>
    name === "at" || name === "detail" ? null : value,
  );
}
