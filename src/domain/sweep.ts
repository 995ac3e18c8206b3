/**
 * The daily sweep of a register: objects that nobody has heard of for a day are asked what they are, which wakes
 * a topic that a crash has left behind, so that it ends, too. Strikes what is not there any more.
 */
import type { Audit } from "../topic/topic.ts";
import { keyOfRow, type Register, type Registered } from "./register.ts";
import type { TopicStubs } from "./topic-stubs.ts";

export const SWEEP_MS = 86_400_000;
/** So often where a topic was refused because there are too many: some of them may be there no more. */
export const CROWDED_SWEEP_MS = 300_000;
/** Objects that a sweep asks at most. */
const MAX_ASKED = 1000;
/** Rows that are read at a time. */
const PAGE = 1000;

/** Asks who was not heard of for so long, and corrects the register and its count. */
export async function sweep(
  register: Register,
  topics: TopicStubs,
  { nowMs, unheardMs }: { readonly nowMs: number; readonly unheardMs: number },
): Promise<void> {
  await Promise.allSettled(
    [...findUnheard(register, nowMs - unheardMs)].map(async ([holder, rows]) => {
      // An object that cannot be reached stays as it is until the next sweep.
      const audit = await topics.audit(holder);
      for (const row of rows) {
        if (audit === null || isTrue(row, audit)) register.see(row, nowMs);
        else register.strike(row);
      }
    }),
  );
  register.recount();
}

function findUnheard(register: Register, sinceMs: number): Map<string, Registered[]> {
  const unheard: Map<string, Registered[]> = new Map();
  for (let after = ""; ;) {
    const page = register.all(after, PAGE);
    for (const row of page) {
      if (row.seenMs > sinceMs) continue;
      const rows = unheard.get(row.holder);
      if (rows !== undefined) rows.push(row);
      else if (unheard.size < MAX_ASKED) unheard.set(row.holder, [row]);
    }
    const last = page.at(-1);
    if (last === undefined) return unheard;
    after = last.row;
  }
}

/** Whether a row says what its object says of itself. */
function isTrue({ row, mark }: Registered, { life, keyIds }: Audit): boolean {
  const keyId = keyOfRow(row);
  if (keyId === undefined) return life !== null && mark === `life ${life}`;
  return keyId !== null && keyIds.includes(keyId);
}
