/** A program that uses the library, in real time and with real sockets: when it has closed all, it ends by itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";

let server: WebSocketServer;
let url: string;

beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  for (const socket of server.clients) socket.terminate();
  server.close();
});

/** Answers heartbeats and publishes; lets subscribers in, and publishes to them. */
function serve(socket: WebSocket, path: string): void {
  if (path.includes("/sub/")) {
    socket.send('{"type":"open","cursor":"a-0","recovered":null}');
    socket.send('{"type":"messages","cursor":"a-1","messages":["x"]}');
  }
  socket.on("message", (data) => {
    const text = data instanceof Buffer ? data.toString() : "";
    if (text === "wspubsub:ping") socket.send("wspubsub:pong");
    else if (text.includes('"publish"')) {
      socket.send(JSON.stringify({ type: "ack", id: JSON.parse(text).id, cursor: "a-1" }));
    }
  });
}

/** Runs a program that has the library and the URL; returns what it printed. */
async function run(program: string): Promise<string> {
  const main = `${import.meta.dirname}/../../src/client/main.ts`;
  const source = `import { subscribe, openPublisher } from ${JSON.stringify(main)};
    const url = ${JSON.stringify(url)}; ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  let printed = "";
  child.stdout.on("data", (data) => (printed += String(data)));
  const [code] = await once(child, "close");
  expect(code).toBe(0);
  return printed.trim();
}

test("after a subscription and a publisher that were connected", async () => {
  server.on("connection", (socket, { url: path = "" }) => serve(socket, path));
  const program = `
    const news = subscribe(url + "/ws/sub/d/t");
    for await (const { data } of news) { console.log(data); break; }
    const publisher = openPublisher(url + "/ws/pub/d/t");
    console.log((await publisher.publish("y")).cursor);
    await publisher.close();`;
  expect(await run(program)).toBe("x\na-1");
});

test("while they wait for the next attempt, or for a hub that says nothing", async () => {
  server.on("connection", (socket, { url: path = "" }) => {
    if (path.includes("/gone")) socket.close(1012, "service-restart");
  });
  const program = `
    for (const topic of ["gone", "silent"]) {
      const { promise: isThere, resolve } = Promise.withResolvers();
      class Watched extends WebSocket {
        constructor(...args) {
          super(...args);
          this.addEventListener("open", resolve);
        }
      }
      const options = topic === "silent" ? { WebSocket: Watched } : {};
      const news = subscribe(url + "/ws/sub/d/" + topic, options);
      if (topic === "gone") news.addEventListener("state", resolve);
      await isThere;
      news.close();
      const publisher = openPublisher(url + "/ws/pub/d/" + topic);
      await publisher.close();
    }
    console.log("over");`;
  expect(await run(program)).toBe("over");
});
