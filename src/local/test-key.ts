/** The original's documented test row: the key that the local Postgres has active, for its domain. */
export const TEST_KEY: {
  readonly domain: string;
  readonly username: string;
  readonly key: string;
} = {
  domain: "test",
  username: "hello@world.com",
  key: "f47ac10b-58cc-4372-a567-0e02b2c3d479",
};
