/**
 * The floor: the shortest broadcast on a hibernating Durable Object, as everyone first writes it. No
 * keys, no phases, no batches. What the hub is measured against; nobody should run it.
 */
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly TOPIC: DurableObjectNamespace<Topic>;
}

export class Topic extends DurableObject<Env> {
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
}

const worker: ExportedHandler<Env> = {
  fetch(request, env) {
    const topic = new URL(request.url).pathname.split("/")[2] ?? "";
    return env.TOPIC.getByName(topic).fetch(request);
  },
};

export default worker;
