/** What the doctor found out about one thing. */

/** A line of its report. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "wrong" | "skipped";
  /** A clause. */
  readonly detail: string;
  /** What to do, as a clause; `null` where nothing is to be done, or nobody knows. */
  readonly remedy: string | null;
}

/** Milliseconds that each question may take; tests name fewer. */
export const LIMIT_MS: number = Number(process.env["WSPUBSUB_DOCTOR_LIMIT_MS"] ?? 5000);

/** It is as it should be. */
export function fine(name: string, detail: string): Check {
  return { name, status: "ok", detail, remedy: null };
}

/** It is not. */
export function wrong(name: string, detail: string, remedy: string | null = null): Check {
  return { name, status: "wrong", detail, remedy };
}

/** Nobody looked; `remedy` says what it takes. */
export function skipped(name: string, detail: string, remedy: string | null = null): Check {
  return { name, status: "skipped", detail, remedy };
}
