/**
 * The client's end of a socket to a Topic: opens it as the edge would, and collects what arrives so
 * that tests wait for events and never for time.
 */
import {
  ADMISSION_HEADER,
  formatAdmission,
  parseAnswer,
  type Admission,
  type PublisherAdmission,
  type SubscriberAdmission,
} from "../../../src/core/admission.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import { STREAM_PROTOCOL, type Protocol } from "../../../src/core/stream.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { later } from "./later.ts";

/** What a client can receive. */
export type Received = string | ArrayBuffer | { readonly code: number; readonly reason: string };

/** An open socket and what has come over it. */
export class Client {
  readonly socket: WebSocket;
  readonly #received: Received[] = [];
  readonly #waiting: ((item: Received) => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("close", ({ code, reason }) => this.#take({ code, reason }));
    socket.accept();
  }

  /** The next message, or the close; waits for it. */
  next(): Promise<Received> {
    const item = this.#received.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next so many. */
  async take(count: number): Promise<Received[]> {
    const items: Received[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  send(data: string | ArrayBuffer): void {
    this.socket.send(data);
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }

  #take(item: Received): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#received.push(item);
  }
}

type PublisherTestOptions = { readonly protocol?: Protocol } & Partial<
  Omit<PublisherAdmission, "v" | "role" | "policy">
>;
type SubscriberTestOptions = { readonly protocol?: Protocol } & Partial<
  Omit<SubscriberAdmission, "v" | "role" | "policy">
>;

/** A publisher's admission, as if the key store had been asked for it; `policy` overrides the defaults. */
export function publisher(
  policy: Partial<Policy> = {},
  { protocol, ...options }: PublisherTestOptions = {},
): PublisherAdmission {
  return {
    v: 1,
    role: "publisher",
    subprotocol: protocol === "stream" ? STREAM_PROTOCOL : null,
    takeover: false,
    heartbeatSeconds: null,
    grant: null,
    isKeyInPath: false,
    policyAtMs: later(),
    isFresh: true,
    isRechecked: true,
    ...options,
    policy: { ...DEFAULT_POLICY, ...policy },
  };
}

/** A subscriber's admission; without a policy nobody asked Postgres. */
export function subscriber(
  policy: Partial<Policy> | null = null,
  { protocol, ...options }: SubscriberTestOptions = {},
): SubscriberAdmission {
  return {
    v: 1,
    role: "subscriber",
    subprotocol: protocol === "stream" ? STREAM_PROTOCOL : null,
    since: null,
    gap: "skip",
    grant: null,
    policyAtMs: policy === null ? 0 : later(),
    isFresh: true,
    isRechecked: true,
    ...options,
    policy: policy && { ...DEFAULT_POLICY, ...policy },
  };
}

/** The request that the edge makes of an admission. */
export function upgradeRequest(admission: Admission): Request {
  return new Request("https://topic/", {
    headers: { Upgrade: "websocket", [ADMISSION_HEADER]: formatAdmission(admission) },
  });
}

/** Asks the object as the edge does. */
export function ask(topic: DurableObjectStub<Topic>, admission: Admission): Promise<Response> {
  return topic.fetch(upgradeRequest(admission));
}

/** What a topic answers that does not take a socket: the slug of a refusal, or what it needs. */
export async function answerOf(response: Response | Promise<Response>): Promise<string | null> {
  const { status, headers } = await response;
  if (status === 101) return null;
  const answer = parseAnswer(headers);
  return answer.type === "refused" ? answer.slug : `needs ${answer.what}`;
}

/** Opens a socket that must be admitted. */
export async function open(topic: DurableObjectStub<Topic>, admission: Admission): Promise<Client> {
  const response = await ask(topic, admission);
  if (!response.webSocket) throw new Error(`Refused with ${response.status}`);
  return new Client(response.webSocket);
}

/** The hub's ends of the sockets that are on a topic in a role, or that the hub has closed. */
export function hubSockets(
  ctx: DurableObjectState,
  role: "publisher" | "subscriber" | "dismissed",
): WebSocket[] {
  return ctx.getWebSockets().filter((socket) => {
    const carried: unknown = socket.deserializeAttachment();
    return (
      typeof carried === "object" && carried !== null && "role" in carried && carried.role === role
    );
  });
}
