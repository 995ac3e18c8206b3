/** Dates for people: UTC, to the second. */

/** `2030-01-31T12:00:00Z`; what is not there is a dash. */
export function formatDate(date: Date | null): string {
  return date === null ? "-" : date.toISOString().replace(/\.\d+Z$/, "Z");
}
