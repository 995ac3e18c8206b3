/**
 * A hub that a test plays by hand: sockets that open, speak and close when the test says so, on a clock that the test
 * moves. Knows nothing of the client but the `WebSocket` that it asks for.
 */
import { afterEach, beforeEach, vi } from "vitest";

/** One socket, as the hub has it. */
export class FakeSocket {
  readonly url: URL;
  readonly protocols: readonly string[];
  /** What the client has sent, but for heartbeats. */
  readonly sent: string[] = [];
  heartbeats = 0;
  /** Whether heartbeats are answered. */
  answers = true;
  isLeft = false;
  readyState = 0;
  bufferedAmount = 0;
  readonly #listeners: [name: string, listener: (event: object) => void][] = [];

  constructor(url: string | URL, protocols: string[]) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  /** What the URL asks for. */
  get asked(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams);
  }

  /** The frames that the client has sent. */
  get frames(): Record<string, unknown>[] {
    return this.sent.map((text) => JSON.parse(text));
  }

  addEventListener(name: string, listener: (event: object) => void): void {
    this.#listeners.push([name, listener]);
  }

  #tell(name: string, event: object): void {
    for (const [of, listener] of this.#listeners) if (of === name) listener(event);
  }

  send(text: string): void {
    if (this.readyState !== 1) throw new Error(`Sent ${text} while it is not open`);
    if (text !== "wspubsub:ping") {
      this.sent.push(text);
      return;
    }
    this.heartbeats += 1;
    if (this.answers) this.say("wspubsub:pong");
  }

  close(): void {
    this.isLeft = true;
    this.readyState = Math.max(this.readyState, 2);
  }

  /** Ends the handshake. */
  open(): void {
    this.readyState = 1;
    this.#tell("open", {});
  }

  /** Says a frame, or whatever else. */
  say(frame: unknown): void {
    const isRaw = typeof frame === "string" || frame instanceof ArrayBuffer;
    this.#tell("message", { data: isRaw ? frame : JSON.stringify(frame) });
  }

  /** Says that something is wrong, and nothing else. */
  error(): void {
    this.#tell("error", {});
  }

  /** Ends the connection. */
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.#tell("close", { code, reason });
  }

  /** Refuses the connection as `explain=1` does: the socket opens, says why, and is closed. */
  refuse(code: number, slug: string, more: object = {}): void {
    this.answers = false;
    this.open();
    const type = `urn:wspubsub:problem:${slug}`;
    const problem = { type, title: "A title", status: 400, detail: "A detail", ...more };
    this.say({ type: "error", id: null, problem });
    this.end(code, slug);
  }

  /** Lets a subscriber in. */
  begin(cursor = "a-0", recovered: boolean | null = null): void {
    this.open();
    this.say({ type: "open", cursor, recovered });
  }

  /** Publishes to it; `at` is left out. */
  publish(cursor: string, ...messages: unknown[]): void {
    this.say({ type: "messages", cursor, messages });
  }

  /** Answers a publish with a problem. */
  fail(id: unknown, slug: string, status: number, retryAfter?: number): void {
    const type = `urn:wspubsub:problem:${slug}`;
    const problem = { type, title: "A title", status, detail: "A detail", retryAfter };
    this.say({ type: "error", id, problem });
  }
}

/** All sockets of a test. */
export class FakeHub {
  readonly sockets: FakeSocket[] = [];
  readonly WebSocket: typeof WebSocket;

  constructor() {
    const { sockets } = this;
    const constructor = class extends FakeSocket {
      constructor(url: string | URL, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    };
    this.WebSocket = constructor as unknown as typeof WebSocket;
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("There is no socket");
    return socket;
  }

  /** The next socket, whenever it is opened. */
  async next(): Promise<FakeSocket> {
    const { length } = this.sockets;
    await settle();
    for (let n = 0; n < 10 && this.sockets.length === length; n++) {
      await vi.advanceTimersToNextTimerAsync();
    }
    return this.nth(length + 1);
  }

  /** The newest socket, of so many. */
  nth(count: number): FakeSocket {
    if (this.sockets.length !== count) throw new Error(`There are ${this.sockets.length} sockets`);
    return this.socket;
  }
}

/** Gives each test of a file a clock that it moves, and a chance that it knows. */
export function useFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    setChance(1);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}

/** Lets all happen that needs no time. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** Lets time pass. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** A machine that is suspended: time passes, and no timer fires until it is over. */
export async function suspend(ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await vi.advanceTimersToNextTimerAsync();
}

/** What `Math.random` says from now on: 1 is nearly 1. */
export function setChance(chance: number): void {
  vi.spyOn(Math, "random").mockReturnValue(Math.min(chance, 1 - Number.EPSILON));
}

/** What a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not fail");
    },
    (error: unknown) => error,
  );
}
