/** Why nothing could be done to a key. */
import { UserError } from "../../local/fail.ts";
import { describeKeyState, nameKey } from "./key-row.ts";
import { lastArgument } from "../output/shell-quote.ts";
import type { Session } from "../session.ts";

/** The error for a key that the store did not change: it is not there, or revoked. */
export async function explainNoKey(
  session: Session,
  id: number,
  refusal: string,
): Promise<UserError> {
  const key = await session.store.findKey(id);
  if (key === null) return new UserError(`There is no key ${id}: keys list shows those there are`);
  const state = `${nameKey(key)} is ${describeKeyState(key)}`.replace(/^k/, "K");
  return new UserError(
    `${state} and ${refusal}: keys create ${lastArgument(key.domain)} makes a new one`,
  );
}
