/** `wspubsub keys rotate`: a new key in place of another. */
import { UserError } from "../../local/fail.ts";
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
  readonly force?: true;
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
    isForced: options.force === true,
  });
  if (rotated === null) throw await explainNoRotation(session, id);
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

async function explainNoRotation(session: Session, id: number): Promise<UserError> {
  const key = await session.store.findKey(id);
  if (key === null || key.state === "revoked") {
    return explainNoKey(session, id, "cannot be rotated");
  }
  // Somebody may have switched it off, or let it end, so that its owner has none.
  const name = nameKey(key).replace(/^k/, "K");
  return new UserError(
    `${name} is ${describeKeyState(key)}, and a new one would be live: nothing was made. ` +
      "--force makes one all the same",
  );
}
