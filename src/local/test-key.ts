/** What the local Postgres is seeded with, so that there is something to try. */

/** A key of a domain. */
export interface SeededKey {
  readonly domain: string;
  readonly username: string;
  readonly key: string;
}

/** The original's documented test row, for a domain with the defaults. */
export const TEST_KEY: SeededKey = {
  domain: "test",
  username: "hello@world.com",
  key: "f47ac10b-58cc-4372-a567-0e02b2c3d479",
};

/** The key of a domain that takes many publishers and keeps its messages for a day: for posts (PROTOCOL.md, 17.8). */
export const SHARED_KEY: SeededKey = {
  domain: "shared",
  username: "hello@world.com",
  key: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
};
