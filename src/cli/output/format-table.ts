/** Tables for people: columns as wide as what stands in them. */

const GAP = "  ";

/** Aligns rows under their headings; a last column is not padded. */
export function formatTable(headings: readonly string[], rows: readonly string[][]): string {
  const widths = headings.map((heading, i) =>
    Math.max(...[heading, ...rows.map((row) => row[i] ?? "")].map(widthOf)),
  );
  return [headings.map((heading) => heading.toUpperCase()), ...rows]
    .map((row) =>
      row
        .map((cell, i) => pad(cell, widths[i] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

function pad(cell: string, width: number): string {
  return cell + " ".repeat(width - widthOf(cell));
}

/** In code points: `padEnd` would count UTF-16 units. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
