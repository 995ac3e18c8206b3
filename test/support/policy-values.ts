/** Fields of policies, and values at the bounds of their rules: what reads or stores a policy takes some and refuses the others. */
import type { PolicyRule } from "../../src/core/policy.ts";

/** Fields that version 0.1 did not know. */
export const ADDED_SINCE_0_1: readonly string[] = [
  "historyDelayMs",
  "tokenPublishers",
  "maxBacklogBytes",
  "pathKeys",
  "maxPublishers",
  "maxSubscribers",
  "maxTopics",
];

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
