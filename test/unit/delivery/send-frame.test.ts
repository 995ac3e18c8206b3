/** Sending to sockets that are gone, or go meanwhile: nobody else suffers. */
import { expect, test } from "vitest";
import { sendFrames } from "../../../src/delivery/send-frame.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

function openSocket(): { readonly socket: WebSocket; readonly sent: unknown[] } {
  const [client, socket] = Object.values(new WebSocketPair());
  if (client === undefined || socket === undefined) throw new Error("There is no pair");
  client.accept();
  socket.accept();
  const sent: unknown[] = [];
  socket.send = (message) => void sent.push(message);
  return { socket, sent };
}

test("one that is closed is sent nothing", async () => {
  const { socket, sent } = openSocket();
  sendFrames(socket, ["a"]);
  socket.close();
  await expectReached("send-too-late", () => sendFrames(socket, ["b"]));
  expect(sent).toEqual(["a"]);
});

test("one that fails is sent no more of it", async () => {
  const { socket, sent } = openSocket();
  socket.send = (message) => {
    sent.push(message);
    throw new TypeError("Closed");
  };
  await expectReached("send-failed", () => sendFrames(socket, ["a", "b"]));
  expect(sent).toEqual(["a"]);
});
