/** Tables for people: columns as wide as what stands in them, as a terminal shows it. */
import { printable } from "./printable.ts";

const GAP = "  ";

/** Aligns rows under their headings, a line each; a last column is not padded. */
export function formatTable(headings: readonly string[], data: readonly string[][]): string[] {
  const rows = data.map((row) => row.map(printable));
  const widths = headings.map((heading, i) =>
    // Not spread: a call takes only so many arguments.
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[i] ?? "")), widthOf(heading)),
  );
  return [headings.map((heading) => heading.toUpperCase()), ...rows].map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

function pad(cell: string, width: number): string {
  return cell + " ".repeat(width - widthOf(cell));
}

/** In code points: `padEnd` would count UTF-16 units. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
