/** What a log's rows cost and what they save in latency: by the policy's delay, and by how much is published. */

export interface HistoryScenario {
  readonly name: string;
  /** `history_delay_ms`; `null`: a topic without history, to compare with. */
  readonly delayMs: number | null;
  readonly messagesPerSecond: number;
}

export interface HistorySize {
  readonly delaysMs: readonly number[];
  readonly rates: readonly number[];
}

export function historyScenarios({ delaysMs, rates }: HistorySize): HistoryScenario[] {
  return [null, ...delaysMs].flatMap((delayMs) =>
    rates.map((messagesPerSecond) => {
      const name = `${delayMs === null ? "no history" : `${delayMs} ms`}, ${messagesPerSecond}/s`;
      return { name, delayMs, messagesPerSecond };
    }),
  );
}
