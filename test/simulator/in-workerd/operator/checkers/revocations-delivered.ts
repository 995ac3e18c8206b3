/** A revocation that the domain held is in the key store once that can be reached (12.7). */
import { Violation } from "../../violation.ts";
import type { OperatorWorld } from "../operator-world.ts";

/** Checks that all that were held have arrived; they are no longer held. */
export function expectRevocationsDelivered({ store, held }: OperatorWorld): void {
  for (const keyId of held.keys()) {
    if (!store.statesOf(keyId).some(({ isRevoked }) => isRevoked)) {
      throw new Violation(`The revocation of key ${keyId} never came to the key store (12.7)`);
    }
  }
  held.clear();
}
