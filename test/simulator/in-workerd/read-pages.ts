/**
 * Reading by HTTP in a scenario: what the log has, and then, where the client waits, what comes next. Knows neither pages
 * nor sockets.
 */
import type { ReadPages } from "./actions.ts";
import { PageReader } from "./page-reader.ts";
import { readOn } from "./page-walk.ts";
import { Poll } from "./poll.ts";
import type { World } from "./world.ts";

/** Reads, and may then wait in the background. */
export async function readPages(world: World, { since, limit, wait }: ReadPages): Promise<void> {
  const wished = world.beginningOf(since);
  const beginning = wished.since === null ? world.beginningOf({ kind: "earliest" }) : wished;
  const asked = {
    since: beginning.since ?? "earliest",
    gap: "skip",
    expectation: beginning.expectation,
  } as const;
  const pages = new PageReader(asked, world.ledger);
  const name = `reader ${world.pageClients.length}`;
  const client = {
    name,
    reader: pages.reader,
    options: { asked, publishedBefore: world.publications.count },
    closeCode: null,
  };
  world.pageClients.push(client);
  world.observer.note(`${name} asks since=${asked.since} limit=${limit}`);
  const isAtHead = await readOn(world, pages, limit);
  if (!isAtHead || wait === "no") return;
  const poll = new Poll(world, pages, limit);
  if (!(await poll.open())) return;
  world.polls.push(poll);
  if (wait === "shortly") poll.stop();
}
