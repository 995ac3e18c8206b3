/** Messages of others, which may be a proxy's whole page. */

const MAX_LENGTH = 200;

/** As much of one as makes a clause. */
export function firstLine(message: string): string {
  const [line = ""] = message.split("\n");
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line;
}
