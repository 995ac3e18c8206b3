/**
 * What `npm run dev` shows of a line that wrangler printed: the Worker's log as the Worker wrote it, and
 * never a key or a ticket, though wrangler may print the URL that holds one.
 */

/** The line to show, `null` for none. */
export function cleanLine(line: string): string | null {
  if (line.trim() === "") return null;
  return (
    line
      // Wrangler puts "✘ [ERROR] " before what the Worker logged; the event says its level itself.
      .replace(/^\S+ \[(?:ERROR|WARNING)\] (?=\{)/, "")
      .replace(/\/ws\/pub\/[^/\s"]*/g, "/ws/pub/***")
      .replace(/([?&]ticket=)[^&\s"]*/g, "$1***")
  );
}
