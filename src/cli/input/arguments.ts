/**
 * The arguments and options that commands share, read by commander while it parses: what is wrong with one
 * is said at once, with exit code 2.
 */
import { Argument, InvalidArgumentError } from "commander";
import { parseAddress } from "../../core/address.ts";
import { err, ok, type Result } from "../../core/result.ts";

/** Makes a parser that commander takes out of one that returns a Result. */
export function parsed<T>(parse: (text: string) => Result<T>): (text: string) => T {
  return (text) => {
    const result = parse(text);
    if (result.ok) return result.value;
    throw new InvalidArgumentError(`${result.error}.`);
  };
}

/** The domain a command is about. */
export function domainArgument(): Argument {
  return new Argument("<domain>", "the domain").argParser(parsed(parseDomainName));
}

/** The key a command is about. */
export function keyArgument(): Argument {
  return new Argument("<id>", "the key's number, as keys list shows it").argParser(
    parsed(parseKeyId),
  );
}

/** A domain as people write it, not percent-encoded. */
export function parseDomainName(text: string): Result<string> {
  const address = parseAddress(encodeURIComponent(text), "any");
  return address.ok ? ok(address.value.domain) : address;
}

/** A topic as people write it, not percent-encoded. */
export function parseTopicName(text: string): Result<string> {
  const address = parseAddress("any", encodeURIComponent(text));
  return address.ok ? ok(address.value.topic) : address;
}

/** A whole number within bounds. */
export function parseInteger(text: string, least: number, most: number): Result<number> {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  return value >= least && value <= most
    ? ok(value)
    : err(`Give a whole number from ${least} to ${most}`);
}

function parseKeyId(text: string): Result<number> {
  const id = parseInteger(text, 1, MOST_ID);
  return id.ok ? id : err("Give the number of a key, as keys list shows it");
}

/** Of Postgres's type integer. */
const MOST_ID = 2_147_483_647;
