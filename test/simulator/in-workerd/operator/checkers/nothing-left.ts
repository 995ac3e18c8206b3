/** A domain that nobody uses any more, and whose changes are old, stores nothing, nor do its topics. */
import { Violation } from "../../violation.ts";
import type { OperatorWorld } from "../operator-world.ts";

/** Checks that nothing is left. */
export async function expectNothingLeft({ domain, sites }: OperatorWorld): Promise<void> {
  const rows = await domain.rows();
  const alarmMs = await domain.alarmMs();
  if (rows.length > 0 || alarmMs !== null) {
    const alarm = alarmMs === null ? "no alarm" : "an alarm";
    throw new Violation(`The domain still has ${alarm} and: ${rows.join(", ")}`);
  }
  for (const site of sites) {
    const left = await site.rows();
    if (left.length > 0) {
      throw new Violation(`Topic ${site.number} still has: ${left.join(", ")}`);
    }
  }
}
