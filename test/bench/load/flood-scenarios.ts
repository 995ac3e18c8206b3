/** What one raw publisher sends to a topic of its own, while others are measured. */

export interface FloodScenario {
  readonly name: string;
  readonly messageBytes: number;
  readonly messagesPerSecond: number;
}

/** The first is what the others are compared with. */
export const FLOOD_SCENARIOS: readonly FloodScenario[] = [
  { name: "none", messageBytes: 10, messagesPerSecond: 0 },
  { name: "5,000 texts/s of 10 bytes", messageBytes: 10, messagesPerSecond: 5000 },
  { name: "20 MB/s in texts of 64 KiB", messageBytes: 65_536, messagesPerSecond: 305 },
  { name: "20 MB/s in texts of 1 MiB", messageBytes: 1_048_576, messagesPerSecond: 19 },
];
