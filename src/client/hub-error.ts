/** What the hub says no with. Decides nothing by it. */

/** A refusal of the hub's, or the end of a connection. */
export class HubError extends Error {
  /**
   * The problem's stable name, such as `key-rejected` (PROTOCOL.md, 4.1, 8.1, 10.11). The client's own are
   * `connection-lost` (nobody said why), `no-answer` (the network is dead), `away` (there is a better one now) and
   * `bad-frame` (what came is none of the hub's).
   */
  declare readonly slug: string;
  /** What is wrong, for people. */
  declare readonly detail: string;
  /** The close code, 1006 where the client itself has left; `null` where a publish was refused. */
  declare readonly code: number | null;
  /** The problem's HTTP status; `null` where the hub gave only a close code. */
  declare readonly status: number | null;
  /** Seconds after which it makes sense to try again, where the hub says so. */
  declare readonly retryAfter?: number | undefined;

  /** Puts its parts together. */
  constructor(slug: string, detail: string, more?: Partial<HubError>) {
    super(`${slug}: ${detail}`);
    Object.assign(this, { name: "HubError", slug, detail, code: null, status: null }, more);
  }
}
