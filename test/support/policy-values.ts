/** Values at the bounds of a policy's rules: what reads or stores a policy takes some of them and refuses the others. */
import type { PolicyRule } from "../../src/core/policy.ts";

/** Values of a field. */
export interface PolicyValues {
  readonly taken: readonly unknown[];
  /** One beyond each bound; `null` where the field is no limit. */
  readonly refused: readonly unknown[];
}

/** Those that try a rule. */
export function valuesOf(rule: PolicyRule): PolicyValues {
  switch (rule.kind) {
    case "choice":
      return { taken: rule.words, refused: ["", rule.words.join(), "EXCLUSIVE", "OPEN", null] };
    case "number":
      return {
        taken: [rule.least, rule.byDefault, rule.most],
        refused: [rule.least - 1, rule.most + 1, null],
      };
    case "limit":
      return { taken: [rule.least, rule.most, null], refused: [rule.least - 1, rule.most + 1] };
    case "switch":
      return { taken: [true, false], refused: [null] };
  }
}
