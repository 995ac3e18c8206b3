/**
 * The paths of sockets (PROTOCOL.md, section 1): which segment is the key, the domain and the topic. Splits the path
 * itself: a router would decode the segments, and an encoded slash is the topic's. Decodes and checks none of them.
 */

/** The segments of a path that is a socket's, as they were written. */
export interface SocketRoute {
  readonly role: "publisher" | "subscriber";
  /** `null` where the path has no place for one. */
  readonly rawKey: string | null;
  readonly rawDomain: string;
  readonly rawTopic: string;
}

/** Reads a path; `null` where no socket is. */
export function matchSocketRoute(pathname: string): SocketRoute | null {
  const [root, ws, kind, ...rest] = pathname.split("/");
  if (root !== "" || ws !== "ws") return null;
  const role = kind === "pub" ? "publisher" : "subscriber";
  if (kind === "pub" && rest.length === 3) {
    const [rawKey = "", rawDomain = "", rawTopic = ""] = rest;
    return { role, rawKey, rawDomain, rawTopic };
  }
  if ((kind === "pub" || kind === "sub") && rest.length === 2) {
    const [rawDomain = "", rawTopic = ""] = rest;
    return { role, rawKey: null, rawDomain, rawTopic };
  }
  return null;
}
