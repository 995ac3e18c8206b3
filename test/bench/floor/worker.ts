/**
 * The floor: the shortest broadcast on a hibernating Durable Object, as everyone first writes it, and the
 * shortest way for one object to call many, and for a Worker to hand what is posted to one. No keys, no phases, no batches. What the hub is measured
 * against; nobody should run it.
 */
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly TOPIC: DurableObjectNamespace<Topic>;
  readonly CALLER: DurableObjectNamespace<Caller>;
}

export class Topic extends DurableObject<Env> {
  #posts = 0;

  override fetch(request: Request): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    const role = new URL(request.url).pathname.split("/")[1] ?? "";
    this.ctx.acceptWebSocket(server, [role]);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(_publisher: WebSocket, message: string | ArrayBuffer): void {
    for (const subscriber of this.ctx.getWebSockets("subscriber")) subscriber.send(message);
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  /** Takes what was posted. */
  post(text: string): number {
    this.#posts += text.length > 0 ? 1 : 0;
    return this.#posts;
  }

  /** A call that does nothing. */
  call(): void {
    // Arriving is all.
  }
}

/** Calls topics, all at once. */
export class Caller extends DurableObject<Env> {
  async callAll(topics: number): Promise<void> {
    await Promise.all(
      Array.from({ length: topics }, (_, n) => this.env.TOPIC.getByName(`called-${n}`).call()),
    );
  }
}

const worker: ExportedHandler<Env> = {
  fetch(request, env) {
    const [, role = "", topic = ""] = new URL(request.url).pathname.split("/");
    switch (role) {
      case "calls":
        return callAll(env, Number(topic));
      case "posts":
        return post(env, topic, request);
      default:
        return env.TOPIC.getByName(topic).fetch(request);
    }
  },
};

async function post(env: Env, topic: string, request: Request): Promise<Response> {
  const posts = await env.TOPIC.getByName(topic).post(await request.text());
  return Response.json({ posts });
}

async function callAll(env: Env, topics: number): Promise<Response> {
  await env.CALLER.getByName("caller").callAll(topics);
  return new Response();
}

export default worker;
