/** `wspubsub keys rotate`: a new key in place of another. */
import { explainNoKey } from "./explain-no-key.ts";
import { describeKeyState, keyJson, nameKey } from "./key-row.ts";
import { makeKey } from "./make-key.ts";
import type { Expiry } from "../input/parse-expiry.ts";
import type { Session } from "../session.ts";
import { describeKeySync, keySyncJson, syncKey } from "./sync-key.ts";

/** Its options. */
export interface RotateKeyOptions {
  /** Seconds. */
  readonly overlap: number;
  readonly expires?: Expiry;
}

/** Makes a key of the same domain and user, and lets the old one end after the overlap. */
export async function rotateKey(
  session: Session,
  id: number,
  options: RotateKeyOptions,
): Promise<void> {
  const key = makeKey();
  const rotated = await session.store.rotateKey(id, key, {
    overlapSeconds: options.overlap,
    expiry: options.expires ?? null,
  });
  if (rotated === null) throw await explainNoKey(session, id, "cannot be rotated");
  const { created, retired } = rotated;
  const sync = await syncKey(session, retired);
  session.print(
    { ...keyJson(created), key: key.key, replaced: keyJson(retired), ...keySyncJson(sync) },
    key.key,
  );
  session.note(
    `Created ${nameKey(created)}, ${describeKeyState(created)}. The key is shown this once and never again.\n` +
      `The old ${nameKey(retired)} is ${describeKeyState(retired)}.${describeKeySync(sync, retired.state)}`,
  );
}
