/** `wspubsub keys rotate`: a new key in place of another. */
import { UserError } from "../../local/fail.ts";
import { showOnce } from "../show-once.ts";
import { explainNoKey } from "./explain-no-key.ts";
import { describeKeyState, keyJson, nameKey, unseenKey } from "./key-row.ts";
import { makeKey } from "./make-key.ts";
import type { Expiry } from "../input/parse-expiry.ts";
import type { Session } from "../session.ts";
import type { KeySync } from "../hub-answers.ts";
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
  let sync: KeySync | null = null;
  const rotated = await showOnce({
    make: () =>
      session.store.rotateKey(id, key, {
        overlapSeconds: options.overlap,
        expiry: options.expires ?? null,
        isForced: options.force === true,
      }),
    doubt:
      `a key "${key.hint}" may have been made in place of key ${id}, which nobody has seen: ` +
      "keys list says so, keys revoke ends it",
    remedy: ({ created }) => `${unseenKey(created)}. The old key ${id} ends: keys list says when`,
    show: async ({ created, retired }) => {
      sync = await syncKey(session, retired);
      const replaced = keyJson(retired);
      const json = { ...keyJson(created), key: key.key, replaced, ...keySyncJson(sync) };
      await session.printOnce(json, key.key);
    },
  });
  if (rotated === null) throw await explainNoRotation(session, id);
  const { created, retired } = rotated;
  session.note(
    `Created ${nameKey(created)}, ${describeKeyState(created)}. The key is shown this once and never again.`,
  );
  session.note(
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
