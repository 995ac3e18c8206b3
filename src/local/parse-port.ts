/** Reads a port from the command line. */
import { UserError } from "./fail.ts";

/** A port number, 0 for any that is free; throws a UserError. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65_535)) {
    throw new UserError(`"${text}" is not a port: give a whole number from 0 to 65535`);
  }
  return port;
}
