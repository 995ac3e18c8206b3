/**
 * The query parameters of a socket URL (PROTOCOL.md, section 3). Unknown ones are ignored, so that a
 * newer client can talk to an older hub; a known one with a wrong value is refused, never guessed at.
 */
import { MAX_HEARTBEAT_SECONDS } from "./heartbeat.ts";
import { err, ok, type Result } from "./result.ts";

/** What a publisher asks for when it connects. */
export interface ConnectOptions {
  /** Displace the incumbent of an exclusive topic. */
  readonly takeover: boolean;
  /** The interval of the heartbeats it promises, `null` if it promises none. */
  readonly heartbeatSeconds: number | null;
}

/** Reads `?takeover=` and `?heartbeat=`; the error is a sentence that says what would be right. */
export function parseConnectOptions(query: URLSearchParams): Result<ConnectOptions> {
  const takeover = query.get("takeover") ?? "0";
  if (takeover !== "0" && takeover !== "1") return err('"takeover" must be 0 or 1');

  const heartbeat = query.get("heartbeat");
  if (heartbeat === null) return ok({ takeover: takeover === "1", heartbeatSeconds: null });
  const heartbeatSeconds = /^[1-9]\d{0,2}$/.test(heartbeat) ? Number(heartbeat) : NaN;
  if (!(heartbeatSeconds <= MAX_HEARTBEAT_SECONDS)) {
    return err(`"heartbeat" must be a whole number of seconds from 1 to ${MAX_HEARTBEAT_SECONDS}`);
  }
  return ok({ takeover: takeover === "1", heartbeatSeconds });
}
