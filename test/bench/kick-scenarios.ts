/** The ways in which a key is revoked: on how many of the live topics it is, and whether those are awake. */

export interface KickScenario {
  readonly name: string;
  /** Live topics of the domain. */
  readonly topics: number;
  /** Those with a publisher that holds the key. */
  readonly holders: number;
  /** Whether all topics hibernate when the key is revoked. */
  readonly isAsleep: boolean;
  /** Keys that are revoked, one after the other. */
  readonly keys: number;
}

export interface KickSize {
  readonly topics: number;
  /** Undefined: the key is on all topics, and nobody else is. */
  readonly holders: number | undefined;
}

export function kickScenarios({ topics, holders }: KickSize): KickScenario[] {
  if (holders === undefined) {
    return [{ name: `all of ${topics}`, topics, holders: topics, isAsleep: false, keys: 10 }];
  }
  return [
    { name: `${holders} of ${topics}`, topics, holders, isAsleep: false, keys: 10 },
    { name: `all of ${topics}`, topics, holders: topics, isAsleep: false, keys: 3 },
    { name: `all of ${topics}, asleep`, topics, holders: topics, isAsleep: true, keys: 1 },
  ];
}
