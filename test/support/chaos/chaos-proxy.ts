/**
 * A TCP proxy before a hub that does to connections what networks do: it cuts them at any byte, goes silent with both
 * sockets open, delays. By a seed for each new connection (fate.ts), and by command for all of them.
 *
 * It knows bytes and no WebSocket. What it has done is counted, so that tests wait for that and never for time.
 */
import { EventEmitter, once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import type { Fate } from "./fate.ts";

/** Which way bytes go. */
export type Direction = "toHub" | "toClient";

/** What has happened so far. */
export interface ChaosCounts {
  connections: number;
  /** Of those, whose client has not left. */
  open: number;
  /** Connections that were cut, of both ends or of one, or went silent for ever. */
  cuts: number;
  /** Bytes that were passed on. */
  bytesToClients: number;
  bytesToHub: number;
}

/** A running proxy. */
export interface ChaosProxy {
  readonly counts: Readonly<ChaosCounts>;
  /** The same URL by way of the proxy. */
  through(url: string): string;
  /** Resolves when the counts are so; looks whenever one of them changes. */
  until(isSo: (counts: Readonly<ChaosCounts>) => boolean): Promise<void>;
  /** What becomes of connections from now on; `null`: nothing. */
  setFates(next: (() => Fate) | null): void;
  /** Leaves all that there are silent for ever, with both sockets open. New ones pass. */
  strandAll(): void;
  /** Resets those that are silent for ever, as an operating system does in the end. */
  resetStranded(): void;
  /** Holds up all bytes of a direction, also those of connections to come. */
  freeze(direction?: Direction | "both"): void;
  /** Lets go on what `freeze` holds up. */
  thaw(): void;
  stop(): Promise<void>;
}

const DIRECTIONS: readonly Direction[] = ["toHub", "toClient"];
const NO_FATE: Fate = { kind: "none" };

/** Both ends of one client's connection. */
interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
  /** How many bytes it has until its fate. */
  left: number;
  isStranded: boolean;
}

/** Starts one in front of a hub, without any trouble at first. */
export async function startChaosProxy(hubUrl: string): Promise<ChaosProxy> {
  const { hostname, port } = new URL(hubUrl);
  let nextFate: (() => Fate) | null = null;
  const counts = { connections: 0, open: 0, cuts: 0, bytesToClients: 0, bytesToHub: 0 };
  const changes = new EventEmitter().setMaxListeners(0);
  const links = new Set<Link>();
  const gates: Record<Direction, Gate> = { toHub: new Gate(), toClient: new Gate() };

  const note = (name: keyof ChaosCounts, by = 1): void => {
    counts[name] += by;
    changes.emit("change");
  };

  const cut = (link: Link, how: "reset" | "end"): void => {
    note("cuts");
    for (const socket of [link.client, link.upstream]) endSocket(socket, how);
  };

  const strand = (link: Link): void => {
    link.isStranded = true;
    note("cuts");
  };

  const meetFate = (link: Link, fate: Fate): void => {
    switch (fate.kind) {
      case "none":
        return;
      case "reset":
      case "end":
        cut(link, fate.kind);
        return;
      case "ghost":
        strand(link);
        link.client.resetAndDestroy();
    }
  };

  const server = createServer({ noDelay: true }, (client) => {
    note("connections");
    note("open");
    client.on("close", () => note("open", -1));
    client.on("error", () => {});
    const fate = nextFate?.() ?? NO_FATE;
    const upstream = connect({ host: hostname, port: Number(port), noDelay: true });
    upstream.on("error", () => {});
    const left = fate.kind === "none" ? Infinity : fate.afterBytes;
    const link: Link = { client, upstream, left, isStranded: false };
    links.add(link);
    const pumps = DIRECTIONS.map((direction) => pump(link, direction, fate));
    void Promise.all(pumps).then(() => {
      if (!link.isStranded) links.delete(link);
    });
  });

  /** Passes on what comes from one side, until that ends or the link has met its fate. */
  async function pump(link: Link, direction: Direction, fate: Fate): Promise<void> {
    const [from, to] =
      direction === "toHub" ? [link.client, link.upstream] : [link.upstream, link.client];
    try {
      // Not destroyed on return: a stranded link keeps its sockets.
      for await (const chunk of from.iterator({
        destroyOnReturn: false,
      }) as AsyncIterable<Buffer>) {
        await gates[direction].open;
        if (fate.kind !== "none" && fate.delayMs > 0) await setTimeout(fate.delayMs);
        if (link.isStranded || link.left === 0) return;
        const passed = chunk.subarray(0, link.left);
        link.left -= passed.length;
        // Counted before: who has read it must find it counted.
        note(direction === "toClient" ? "bytesToClients" : "bytesToHub", passed.length);
        await write(to, passed);
        if (link.left === 0) {
          meetFate(link, fate);
          return;
        }
      }
      await gates[direction].open;
      if (!link.isStranded) to.end();
    } catch {
      // The side that is read from was reset: the other one learns of it when the link is not held up.
      await gates[direction].open;
      if (!link.isStranded) to.resetAndDestroy();
    }
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const own = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    counts,
    through: (url) => url.replace(new URL(url).host, own),
    until: async (isSo) => {
      while (!isSo(counts)) await once(changes, "change");
    },
    setFates: (next) => void (nextFate = next),
    strandAll: () => {
      for (const link of links) if (!link.isStranded) strand(link);
    },
    resetStranded: () => {
      for (const link of links) {
        if (!link.isStranded) continue;
        links.delete(link);
        for (const socket of [link.client, link.upstream]) socket.resetAndDestroy();
      }
    },
    freeze: (direction = "both") => {
      for (const each of DIRECTIONS) {
        if (direction === "both" || direction === each) gates[each].close();
      }
    },
    thaw: () => {
      for (const each of DIRECTIONS) gates[each].reopen();
    },
    stop: async () => {
      server.close();
      for (const { client, upstream } of links) {
        client.destroy();
        upstream.destroy();
      }
      for (const each of DIRECTIONS) gates[each].reopen();
      await once(server, "close");
    },
  };
}

/** What bytes of a direction wait at. */
class Gate {
  /** Resolves while nothing is held up. */
  open: Promise<void> = Promise.resolve();
  #reopen: () => void = () => {};

  close(): void {
    this.reopen();
    this.open = new Promise((resolve) => (this.#reopen = resolve));
  }

  reopen(): void {
    this.#reopen();
  }
}

function endSocket(socket: Socket, how: "reset" | "end"): void {
  if (how === "reset") socket.resetAndDestroy();
  // Not just `end`: the other side may go on sending for as long as it likes.
  else socket.end(() => socket.destroy());
}

/** Resolves when the kernel has it, or never will. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}
