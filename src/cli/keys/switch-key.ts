/** `wspubsub keys activate` and `keys deactivate`: a key switched on and off. */
import { explainNoKey } from "./explain-no-key.ts";
import { describeKeyState, keyJson, nameKey } from "./key-row.ts";
import type { Session } from "../session.ts";
import { describeKeySync, keySyncJson, syncKey } from "./sync-key.ts";

/** Switches a key; the hub closes who uses one that opens nothing any more. */
export async function switchKey(session: Session, id: number, active: boolean): Promise<void> {
  const key = await session.store.setActive(id, active);
  if (key === null) throw await explainNoKey(session, id, "cannot be activated");
  const sync = await syncKey(session, key);
  session.print(
    { ...keyJson(key), ...keySyncJson(sync) },
    `${active ? "Activated" : "Deactivated"}: ${nameKey(key)} is ${describeKeyState(key)}.` +
      describeKeySync(sync, key.state),
  );
}
