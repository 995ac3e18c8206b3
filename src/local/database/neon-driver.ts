/** Postgres over Neon's HTTP protocol, which passes where only the web does. */
import { neon, NeonDbError } from "@neondatabase/serverless";
import { describeFetchFailure } from "../../cli/output/describe-fetch-failure.ts";
import type { DatabaseUrl } from "../../core/database-url.ts";
import type { Driver, Failure, Row } from "./database.ts";
import { explainRefusal } from "./explain-refusal.ts";
import { firstLine } from "./first-line.ts";

/** Speaks to a host of Neon's. */
export class NeonDriver implements Driver {
  readonly place: string;
  readonly #url: string;
  readonly #timeoutMs: number;

  constructor({ url, host }: DatabaseUrl, timeoutMs: number) {
    this.place = host;
    this.#url = url;
    this.#timeoutMs = timeoutMs;
  }

  async query(text: string, params: readonly unknown[]): Promise<Row[]> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return neon(this.#url, { fetchOptions: { signal } }).query(text, [...params]);
  }

  /** Of an answer that is none the driver throws what it stumbled over. */
  explain(cause: unknown): Failure {
    // Each error of Postgres's has a code, which those of Neon's proxy have not.
    if (cause instanceof NeonDbError && typeof cause.code === "string") {
      const { code, message, hint } = cause;
      return explainRefusal({ code, message, hint });
    }
    return { isRefusal: false, reason: this.#explainNoAnswer(cause) };
  }

  close(): void {
    // Each request is a connection of its own.
  }

  #explainNoAnswer(cause: unknown): string {
    if (cause instanceof SyntaxError || cause instanceof TypeError) {
      return "what answers there is no Postgres, or broke off";
    }
    if (!(cause instanceof NeonDbError)) return describeFetchFailure(cause, this.#timeoutMs);
    const { message, sourceError } = cause;
    // The driver's messages quote no connection string.
    if (sourceError === undefined) return firstLine(message);
    const reason = describeFetchFailure(sourceError, this.#timeoutMs);
    return sourceError instanceof TypeError ? `no connection: ${reason}` : reason;
  }
}
