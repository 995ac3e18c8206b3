/**
 * Which topics a token opens (PROTOCOL.md, 13.4). Knows nothing of tokens or addresses. Invariant: texts are
 * compared as they are, code unit by code unit: without normalization, case folding or decoding.
 */

/** Whether a pattern stands for a topic: it is the topic, or a prefix of it with `*` as last character. */
export function matchesTopic(pattern: string, topic: string): boolean {
  return pattern.endsWith("*") ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;
}
