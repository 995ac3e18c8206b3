/** Dates for people, in UTC. */

/** `2030-01-31T12:00:00Z`; what is not there is a dash. */
export function formatDate(date: Date | null): string {
  return date === null ? "-" : date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** `2030-01-31`, for what is known to the day only; what is not there is a dash. */
export function formatDay(date: Date | null): string {
  return date === null ? "-" : date.toISOString().slice(0, 10);
}
