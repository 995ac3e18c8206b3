/**
 * How many sockets one topic holds, those among them that the hub has closed and that have not answered. The
 * runtime takes 32,768 hibernatable ones (platform limits), and throws at the next.
 */

/** What the hub bounds them to; read at each join. */
export const SOCKET_LIMITS: {
  /** Publishers are taken up to here; the rest is for those who displace one that may never answer its Close. */
  readonly total: number;
  /** What subscribers, whom anybody may send, leave free for publishers. */
  readonly publisherRoom: number;
} = { total: 32_700, publisherRoom: 700 };
