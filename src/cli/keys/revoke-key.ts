/** `wspubsub keys revoke`: the end of a key. */
import { explainNoKey } from "./explain-no-key.ts";
import { describeKeyState, keyJson, nameKey } from "./key-row.ts";
import type { Session } from "../session.ts";
import { describeClosed, syncKey } from "./sync-key.ts";

/** Revokes a key for good and has its publishers closed. */
export async function revokeKey(session: Session, id: number): Promise<void> {
  const key = await session.store.revokeKey(id);
  if (key === null) throw await explainNoKey(session, id, "cannot be revoked");
  const closed = await syncKey(session, key);
  session.print(
    { ...keyJson(key), closed },
    `Revoked: ${nameKey(key)} is ${describeKeyState(key)}.${describeClosed(closed)}`,
  );
}
