/**
 * Names within commands that people paste: quoted for the POSIX shell, so that none of it runs, whatever the name is.
 */
import { isPrintable } from "./printable.ts";

/** What no shell takes for anything else; "=" and "~" at the beginning are zsh's. */
const PLAIN = /^[\w./:@,+-]+$/;

/** A name as one word. */
export function shellQuote(text: string): string {
  if (PLAIN.test(text)) return text;
  if (isPrintable(text)) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  // Spelled out for the eye it would be another name: printf makes it (POSIX, "printf": octal escapes).
  const format = Array.from(new TextEncoder().encode(text), printfByte).join("");
  return `"$(printf '${format}')"`;
}

/** A name as a command's last argument: one that looks like an option is none. */
export function lastArgument(text: string): string {
  return text.startsWith("-") ? `-- ${shellQuote(text)}` : shellQuote(text);
}

function printfByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z\d]/.test(character) ? character : `\\${byte.toString(8).padStart(3, "0")}`;
}
