/** Whether two URLs mean the same hub or the same database, however they are written. */

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a host, in small letters as a URL of http has it, is this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK_HOSTS.has(host);
}

/** Compares two URLs of hubs. */
export function isSameHub(one: string, other: string): boolean {
  return hubName(one) === hubName(other);
}

/** Compares two URLs of databases; their parameters say how to connect, not whereto. */
export function isSameDatabase(one: string, other: string): boolean {
  return databaseName(one) === databaseName(other);
}

function hubName(text: string): string {
  const { protocol, hostname, port, pathname } = new URL(text);
  return JSON.stringify([protocol, hostName(hostname), port, pathname.replace(/\/+$/, "")]);
}

function databaseName(text: string): string {
  const { username, password, hostname, port, pathname } = new URL(text);
  const parts = [username, password, pathname].map(decode);
  return JSON.stringify([...parts, hostName(hostname), port || "5432"]);
}

function hostName(host: string): string {
  return isLoopback(host) ? "localhost" : host.toLowerCase();
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // URIError: a "%" that stands for itself.
    return text;
  }
}
